"""`make bench`: syncd against the peers that are installed. Nothing here is shipped or imported by syncd."""
