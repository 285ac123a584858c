"""Recipes, settings and runs; Lightning lives here."""
