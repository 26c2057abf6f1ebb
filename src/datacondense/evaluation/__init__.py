"""What networks learn from a set: the protocol, the training and testing, the scores."""
