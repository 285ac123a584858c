"""Gradients of gradients: what a focus of lower maps needs, at less cost than in general."""
