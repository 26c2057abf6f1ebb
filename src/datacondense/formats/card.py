"""Write the card of an exported Hugging Face dataset: README.md with its YAML header."""

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from ..methods import METHODS
from ..methods.selection import Selection
from ..synthetic.set import SyntheticSet
from ..utils.errors import InputError
from ..utils.text import mean_std
from .accuracies import Accuracies
from .export_item import ExportItem

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_UNSEEN = ("Cc", "Cf", "Co", "Cs", "Cn")
_ESCAPED = {c: f"\\{c}" for c in "\\`*_{}[]|"} | {c: f"&#{ord(c)};" for c in "<>&~$^@"}
"""Characters with a meaning inside a line to Markdown, HTML or renderers of formulas -> their escapes."""
_LINK = re.compile(r"(?i)[a-z][a-z0-9+.-]*:(?=\S)|www\.")
"""Start of text that renderers turn into a link."""
_SHOWN = (
    "method",
    "data",
    "ipc",
    "seed",
    "iterations_done",
    "wall_seconds",
    "training_seconds",
    "machine",
    "data_sha256",
)


def check_licence(licence: str) -> None:
    """Raise InputError unless the text is spelled like a licence name of the hub, such as mit or cc-by-4.0."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}", licence):
        raise InputError(f"--licence {licence!r}: give a name such as mit, cc-by-4.0, other or unknown")


def render_card(item: ExportItem) -> str:
    """Return the text of README.md: the set, its provenance, its scores, and how to load it."""
    synthetic, spec, made = item.synthetic, item.synthetic.spec, item.synthetic.provenance
    size = next((name for limit, name in _SIZES if len(synthetic) < limit), "n>1M")
    real, method = _is_selection(made.method), made.method or "an unknown method"
    title = f"{spec.name}, {'real images chosen' if real else 'condensed'} by {method}"
    kind, chosen = ("real training", f", chosen by {_cell(method)}") if real else ("synthetic", "")
    facts = {key: getattr(made, key) for key in _SHOWN if getattr(made, key) is not None}
    facts |= made.settings | dict(item.storage) | ({} if synthetic.recipe is None else {"recipe": _recipe(synthetic)})
    front = [
        f"license: {_quoted(item.licence.lower())}",
        "task_categories:",
        "- image-classification",
        "size_categories:",
        f"- {size}",
        f"pretty_name: {_quoted(title)}",
        "tags:",
        "- dataset-condensation",
        "- dataset-distillation",
        *([] if real else ["- synthetic"]),
    ]
    return "\n".join(
        [
            "---",
            *front,
            "---",
            "",
            f"# {_cell(title)}",
            "",
            f"{len(synthetic)} {kind} images of {spec.classes} classes{chosen}, {synthetic.per_class} of each, written "
            f"by `datacondense`. They "
            f"stand for the training set of {_cell(spec.name)}: networks are trained on them alone.",
            "",
            "## Scores",
            "",
            *_scores(item.accuracies),
            "",
            "## How it was made",
            "",
            "| | |",
            "|---|---|",
            *(f"| {_cell(key)} | {_cell(value)} |" for key, value in facts.items()),
            "",
            "`datacondense.json` holds the whole provenance, and a checksum.",
            "",
            *_columns(synthetic),
        ]
    )


def _is_selection(method: str | None) -> bool:
    """Return whether a method chooses real images and changes none. Others, and those not known here, make images."""
    return method is not None and method in METHODS and issubclass(METHODS[method], Selection)


def _columns(synthetic: SyntheticSet) -> list[str]:
    """Return the lines on the columns: their content, which of them to train on, and code that reads these."""
    spec, labels = synthetic.spec, "soft_label" if synthetic.soft else "label"
    soft = [
        f"- `soft_label`: the label to train on, float32 [{spec.classes}], a number for each class; `label` is the "
        "class with the largest."
    ]
    return [
        "## Columns",
        "",
        "- `image`: the image as a picture, 8 bits per channel, clipped to what can be shown.",
        f"- `label`: one of {spec.classes} classes.",
        *(soft if synthetic.soft else []),
        f"- `pixels`: the same image exactly, float32 {list(spec.shape)} (channels, height, width), normalised per "
        f"channel: (x - mean) / std of x in [0, 1], with mean {list(spec.mean)} and std {list(spec.std)}. Train on "
        f"`pixels` and `{labels}`, and test on real images normalised alike.",
        "",
        "```python",
        "from datasets import load_dataset",
        "",
        'train = load_dataset("PATH", split="train").with_format("torch")',
        f'images, labels = train["pixels"][:], train["{labels}"][:]',
        "```",
        "",
    ]


def _recipe(synthetic: SyntheticSet) -> str:
    """Return the fields of the recipe that the set comes with, in words."""
    fields = synthetic.recipe.to_json() if synthetic.recipe else {}
    return ", ".join(f"{name} {value}" for name, value in fields.items())


def _scores(accuracies: Mapping[str, Accuracies]) -> list[str]:
    """Return the lines of the table of scores."""
    if not accuracies:
        return ["None were measured."]
    rows = [
        f"| {_cell(arch)} | {_percent(one.values)} | {len(one.values)} | {_cell(one.how)} |"
        for arch, one in accuracies.items()
        if one.values
    ]
    head = ["Test accuracy on real images in percent, mean ± standard deviation over networks.", ""]
    return [*head, "| network | accuracy % | n | training |", "|---|---|---|---|", *rows]


def _percent(values: Sequence[float]) -> str:
    """Return mean and deviation of accuracies in percent."""
    return mean_std(100 * fmean(values), 100 * stdev(values) if len(values) > 1 else None, digits=2)


def _quoted(text: str) -> str:
    """Quote a string for YAML: JSON's strings, but no surrogate pairs, and fewer characters without an escape."""
    text = json.dumps(text, ensure_ascii=False)
    return re.sub(
        "[\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]",
        lambda found: f"\\u{ord(found[0]):04x}",
        text,
    )


def _cell(value: Any) -> str:
    """Return a value as text that Markdown shows literally, on one line and in one cell: no markup, links or HTML.

    Invisible characters, such as controls and those that change the direction of writing, become U+FFFD.
    """
    shown = "".join(" " if c.isspace() else "\ufffd" if unicodedata.category(c) in _UNSEEN else c for c in str(value))
    escaped = "".join(_ESCAPED.get(c, c) for c in " ".join(shown.split()))
    return _LINK.sub(lambda found: found[0].replace(":", "&#58;").replace(".", "&#46;"), escaped)
