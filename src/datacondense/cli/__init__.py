"""The command line. This package is the only one that imports tyro and rich."""
