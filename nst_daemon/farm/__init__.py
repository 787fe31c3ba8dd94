"""The farm: devices that other machines lend. Membership, transport and TLS are dask distributed's.

What is painted, how often, and what is published is decided by the ledger alone: Dask runs no task of ours.
"""
