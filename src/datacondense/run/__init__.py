"""One run of a method: its loop, its directory, its checkpoints, and whom it tells."""
