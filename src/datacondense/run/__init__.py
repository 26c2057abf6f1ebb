"""One run of a method: its loop, directory, checkpoints, snapshots and observers."""
