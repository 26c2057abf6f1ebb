"""Embeddings and gradients of many images and classes, in chunks that fit the machine."""
