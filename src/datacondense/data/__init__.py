"""Real images: specs, sources, readers of published formats, and splits."""
