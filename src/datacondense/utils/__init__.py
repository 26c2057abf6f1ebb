"""Errors, files, locks, random streams, hardware and processes: used by every room, and importing none of them."""
