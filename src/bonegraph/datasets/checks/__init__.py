"""The checks behind ``bonegraph validate``, one file each; `bonegraph.datasets.validate` runs them."""
