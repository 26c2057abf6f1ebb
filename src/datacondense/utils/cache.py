"""The cache folder, for decoded, downloaded or trained data that can be made again."""

import os
from pathlib import Path

from .paths import expanded

VARIABLE = "DATACONDENSE_CACHE"
"""The environment variable that names the folder of the cache."""


def folder() -> Path:
    """Return $DATACONDENSE_CACHE, else datacondense in $XDG_CACHE_HOME, else in ~/.cache."""
    named = os.environ.get(VARIABLE)
    if named:
        return expanded(named)
    return expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "datacondense"
