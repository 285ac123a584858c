"""From a sequence or a store to scores."""
