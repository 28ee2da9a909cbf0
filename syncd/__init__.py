"""syncd: a file synchronisation daemon for headless servers."""

__version__ = "0.1.0"
