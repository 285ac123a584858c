"""Losses that attach to any model which tells what leads to its linear layers."""
