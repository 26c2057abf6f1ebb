"""Draw for people: pictures and charts of tensors and numbers, and the progress bar. Knows nothing about data sets."""
