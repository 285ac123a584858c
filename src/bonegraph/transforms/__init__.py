"""From stored positions to the input of a network, vectorised over the batch on any device."""
