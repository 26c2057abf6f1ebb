"""Evaluation of sets: the protocol, the training and testing, the scores."""
