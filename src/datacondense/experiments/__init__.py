"""Published experiments, continual learning, and tables of their results."""
