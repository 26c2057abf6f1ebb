"""Networks and generators trained on images, one at a time or side by side, and kept in the cache."""
