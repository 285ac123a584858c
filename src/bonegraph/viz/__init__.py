"""Pictures, films and reports of what a model sees and answers."""
