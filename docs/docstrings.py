"""For the page on Python: what a docstring says of a parameter, as `name: text`, becomes an item of a list."""

import re
from typing import Any

import griffe


class Parameters(griffe.Extension):
    """Rewrites the docstrings of functions while they are collected."""

    def on_function_instance(self, *, func: griffe.Function, **_: Any) -> None:
        """Rewrite one."""
        if func.docstring:
            func.docstring.value = listed(func.docstring.value, [one.name for one in func.parameters])


def listed(text: str, names: list[str]) -> str:
    """The docstring with a list of what it says of parameters, and of what is raised."""
    name = "|".join(map(re.escape, names))
    begins = re.compile(rf"(?:(?<=^)|(?<=[.)] ))((?:{name})(?:, (?:{name}))*): ")
    paragraphs = []
    for paragraph in text.split("\n\n"):
        line = " ".join(paragraph.split())
        if names and begins.search(line):
            paragraph = begins.sub(lambda found: f"\n- **{found[1]}**: ", line)
        paragraphs.append(re.sub(r"(?:(?<=\. )|(?<=\.\n)|^)Raises ", "\n\nRaises ", paragraph, flags=re.MULTILINE))
    return "\n\n".join(paragraphs)
