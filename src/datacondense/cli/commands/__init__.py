"""The commands, one a file. A command is a dataclass of its options."""
