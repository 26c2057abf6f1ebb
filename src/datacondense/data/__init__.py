"""Real images: what is known of a data set, how it is found and read, and how it is split."""
