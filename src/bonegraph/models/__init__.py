"""One paper, one file; `registry` lists them by name."""
