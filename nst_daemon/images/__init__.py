"""Bytes <-> sRGB pictures: photos and styles loaded, results written, with all that they carry.

Knows no job, no style library and no network. Pillow is loaded by whoever decodes, and never by the daemon.
"""
