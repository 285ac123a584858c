"""The same networks, arranged for answers alone: no gradients, weights folded once, nobody computed in vain."""

from bonegraph.inference.fast.network import FastModel, Precision, fast

__all__ = ["FastModel", "Precision", "fast"]
