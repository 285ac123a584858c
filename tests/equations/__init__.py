"""The formulas of the papers as loops, against the library."""
