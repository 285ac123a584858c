"""Properties that hold for every skeleton and every recording."""
