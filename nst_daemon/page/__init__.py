"""The page for a browser: what is painted, what was, and photos dropped into it. In a process of its own.

It reads snapshots from the ledger and leaves requests in it, as command line and tray do.
"""
