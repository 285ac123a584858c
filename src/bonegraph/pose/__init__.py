"""The pose step: from the frames of a video to a `bonegraph.sequence.Sequence` of the people in it."""
