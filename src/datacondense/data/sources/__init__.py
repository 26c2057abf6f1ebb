"""Images of the user: folders, hub sets and PyTorch datasets, decoded once and cached."""
