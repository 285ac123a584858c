"""The commands from beginning to end, on built-in data and on fake files of the real formats."""
