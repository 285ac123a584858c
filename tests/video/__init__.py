"""Videos and the pose step: from files to frames, people, sequences, stores and answers."""
