"""Synthetic images: the parameters that are optimised, and the set with its file."""
