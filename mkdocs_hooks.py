"""Show the version of the package in the name of the site, colour the options of commands, mend empty headers."""

import re
from pathlib import Path
from typing import Any

_INPUT = re.compile(r'<div class="language-console highlight">.*?</div>', re.DOTALL)
_OPTION = re.compile(r"(?<=</span>)(--?[a-zA-Z][\w-]*)")
"""An option stands after a space, which Pygments wraps; options themselves are plain text to it."""


def on_config(config: Any) -> None:
    """Add the version, which is read without importing the package."""
    text = (Path(config.config_file_path).parent / "src/datacondense/_version.py").read_text()
    (version,) = re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    config.site_name = f"{config.site_name} {version}"


def on_page_content(html: str, **_: Any) -> str:
    """Mark the options of commands for the style sheet. A header of a table that is empty becomes a cell."""
    html = _INPUT.sub(lambda block: _OPTION.sub(r'<span class="option">\1</span>', block[0]), html)
    return html.replace("<th></th>", "<td></td>")
