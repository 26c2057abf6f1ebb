"""The names by which data are loaded, known without an import of the readers."""

DATASET_NAMES = ("digits", "mnist", "fashion-mnist", "svhn", "cifar10", "cifar100", "tiny-imagenet")

SOURCE_FORMS = {"arrays": "FILE.npz", "folder": "PATH", "hub": "OWNER/NAME"}
"""Prefix -> the form of the place after its colon."""
