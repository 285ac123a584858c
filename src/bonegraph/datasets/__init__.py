"""Data sets: from the files of a known set to a prepared store, and from a store to samples."""
