"""The arithmetic: embeddings and gradients of many networks and classes, in pieces that fit the machine."""
