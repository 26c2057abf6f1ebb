"""Errors, files, locks, random streams, hardware and processes: what every room uses, and what imports none of them."""
