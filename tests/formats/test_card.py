"""The card of an exported dataset: what files and users call things is shown as it is, and does nothing."""

import re
import unicodedata
from html import unescape
from html.parser import HTMLParser

import markdown
import pytest
import torch
import yaml

from datacondense import Spec, SyntheticSet
from datacondense.formats.accuracies import Accuracies
from datacondense.formats.card import render_card
from datacondense.formats.export_item import ExportItem
from datacondense.synthetic.provenance import Provenance

NAMES = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](https://evil.example)",
    "![x](https://evil.example/x.png)",
    "<https://evil.example>",
    "https://evil.example/x",
    "www.evil.example",
    "javascript:alert(1)",
    "mail@evil.example",
    "[ref]: https://evil.example",
    "`code` **bold** _it_ ~~gone~~ $x^2$",
    "a | b | c",
    "{: onclick=alert(1) }",
    "\\`x\\` \\[a](b)",
    "&lt;b&gt; &amp; &#60;i&#62;",
    "one\n\n# heading\n---\n- item\n\n    code",
    "esc \x1b[31mred\x1b[0m bell \x07 null \x00",
    "\u202eesrever\u202c \u2066iso\u2069 zero\u200bwidth \ufeff \u2028line",
    "half \ud800 surrogate",
    "---\nlicense: other",
    "```\nblock\n```",
    "@someone #1 :smile:",
    "plain name, T-shirt/top (0)",
]


class Tags(HTMLParser):
    """Collects the names of all elements and attributes, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {tag, *(f"{tag}@{name}" for name, _ in attrs if name not in ("class", "style"))}

    def handle_data(self, data: str) -> None:
        self.text += data


def made(name: str) -> str:
    spec = Spec(name, (name, "b"), (1, 2, 2), (0.5,), (0.25,))
    provenance = {"method": name, "data": name, "machine": name, "settings": {name: name}, "seed": 0}
    one = SyntheticSet(torch.zeros(2, 1, 2, 2), torch.tensor([0, 1]), spec, Provenance.from_json(provenance))
    return render_card(ExportItem(one, {name: Accuracies([0.5, 0.25], name)}, "mit"))


def rendered(text: str) -> Tags:
    body = text.split("\n---\n", 1)[1]
    tags = Tags()
    tags.feed(markdown.markdown(body, extensions=["tables", "fenced_code", "attr_list", "md_in_html", "footnotes"]))
    return tags


PLAIN = rendered(made("plain"))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_shown_and_makes_no_element(name: str) -> None:
    text = made(name)
    tags = rendered(text)
    assert tags.found == PLAIN.found
    assert "a" not in tags.found
    assert not re.search(r"(?i)(https?|javascript|mailto):(?!//huggingface)|www\.", text.split("\n---\n", 1)[1])
    shown = " ".join("".join(" " if c.isspace() else c for c in name).split())
    expected = "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Cn", "Co") else c for c in shown)
    assert expected in " ".join(tags.text.split())
    assert text.count("\n") == made("plain").count("\n")


@pytest.mark.parametrize("name", NAMES)
def test_the_front_is_yaml_that_says_the_same(name: str) -> None:
    _, front, _ = made(name).split("---\n", 2) if "---\n" not in name else ("", made(name)[4:].split("\n---\n")[0], "")
    fields = yaml.safe_load(front)
    assert fields["license"] == "mit"
    assert set(fields) == {"license", "task_categories", "size_categories", "pretty_name", "tags"}
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in front if c != "\n")
    if "\ud800" not in name:
        assert fields["pretty_name"] == f"{name}, condensed by {name}"


def test_no_control_character_is_in_the_card() -> None:
    for name in NAMES:
        text = made(name)
        assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in text if c != "\n")
        text.encode()
        assert unescape(text)


@pytest.mark.parametrize("method", ["random", "label-solve", "herding", "dm", "imported", "someone's"])
def test_real_images_are_called_real(method: str) -> None:
    real = method in ("random", "label-solve", "herding")
    text = made(method)
    fields = yaml.safe_load(text.split("---\n")[1])
    assert ("synthetic" in fields["tags"]) != real
    assert fields["pretty_name"] == f"{method}, {'real images chosen' if real else 'condensed'} by {method}"
    body = " ".join(rendered(text).text.split())
    assert (f"2 real training images of 2 classes, chosen by {method}, 1 of each" in body) == real
    assert ("synthetic images" in body) != real
