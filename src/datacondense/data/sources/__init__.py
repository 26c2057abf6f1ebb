"""Images of one's own: folders, hub sets and data sets of PyTorch, decoded once and kept."""
