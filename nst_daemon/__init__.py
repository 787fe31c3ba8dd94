"""nst-daemon: drop a photo into a folder, get a painting back."""

__version__ = "0.1.0"
