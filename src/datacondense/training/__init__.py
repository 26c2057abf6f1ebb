"""Training of networks and generators, one at a time or side by side; long training is cached."""
