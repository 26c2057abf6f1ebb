"""Reproduce published experiments, learn classes continually, and write the page of results."""
