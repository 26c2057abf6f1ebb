"""The page of results, from records."""

import json
from pathlib import Path
from typing import Any

import pytest

from datacondense import InputError
from datacondense.experiments.presets import PRESETS
from datacondense.experiments.results_page import best_records, compare_with_published, render_page

RECORD: dict[str, Any] = {
    "preset": "dc/fashion-mnist/1",
    "variant": "dc/fashion-mnist/1",
    "changed": False,
    "seeds": [0, 1],
    "nets": 2,
    "scores": {"ConvNet": {"n": 4, "mean": 70.13, "std": 0.52, "values": [69.6, 70.0, 70.2, 70.7]}},
    "published": {"ConvNet": [70.5, 0.6]},
    "seconds": {"condense": [100.0, 110.0], "evaluate": [61.0, 61.0]},
    "machine": "here",
    "versions": {"torch": "2.0"},
}
CHANGED = {
    **RECORD,
    "preset": "dm/cifar10/10",
    "variant": "dm/cifar10/10@digits@scale0.01",
    "changed": True,
    "published": {},
}


def write(folder: Path, name: str, *records: object) -> None:
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def sections(text: str) -> dict[str, str]:
    """What is under each heading of the second kind, by the heading's first words."""
    return {part.partition("\n")[0].split(":")[0]: part for part in text.split("## ")[1:]}


def test_the_page_parts_what_is_as_published_from_what_is_not(tmp_path: Path) -> None:
    write(tmp_path, "one", RECORD)
    write(tmp_path, "two", CHANGED)
    text = render_page(tmp_path)
    published, quick, still_open = sections(text).values()
    line = "| dc/fashion-mnist/1 | ConvNet | 70.1 ± 0.5 | 2 x 2 | 70.5 ± 0.6 | -0.4 | 1:45 | 1:01 | here, torch 2.0 |"
    assert line in published.replace("&nbsp;", " ")
    execution = {"device": "cpu", "precision": "fp32", "compile": True, "chunk": 1, "classes_at_once": 1}
    made = [{"execution": {**execution, "threads": threads}} for threads in (2, 1, 2)]
    write(tmp_path, "one", {**RECORD, "condensed_by": made})
    assert "| here,&nbsp;1&nbsp;or&nbsp;2&nbsp;threads,&nbsp;torch&nbsp;2.0 |" in render_page(tmp_path)
    assert "dm/cifar10/10" not in published
    assert "| dm/cifar10/10@digits@scale0.01 | ConvNet | 70.1 ± 0.5 | 2 x 2 | - |" in quick
    assert quick.startswith("Quick looks")
    assert "- `dc/fashion-mnist/`: 10, 50\n" in still_open
    assert "- `dm/cifar10/`: 1, 10, 50, 100, 200, 500, 1000, 1250\n" in still_open  # a quick look fills no cell


def test_every_published_number_is_done_or_open(tmp_path: Path) -> None:
    text = render_page(tmp_path)
    assert list(sections(text)) == ["Published numbers without a run of ours yet"]
    for name, preset in PRESETS.items():
        group, _, last = name.rpartition("/")
        lines = [line for line in text.splitlines() if line.startswith(f"- `{group}/`: ")]
        listed = lines[0].partition(": ")[2].split(", ") if lines else []
        assert (last in listed) == bool(preset.published), name


def test_the_record_over_most_networks_counts_and_the_newest_of_these(tmp_path: Path) -> None:
    older, newer = ({**RECORD, "nets": 9, "machine": where} for where in ("there", "here"))
    write(tmp_path, "one", RECORD, older, newer, RECORD)
    assert best_records(tmp_path) == [newer]
    assert "2 x 9" in render_page(tmp_path)


def test_records_of_an_earlier_version_of_a_preset_no_longer_count(tmp_path: Path) -> None:
    now = {**RECORD, "method": "dm", "settings": {"lr": 0.05, "regress": 10.0}}
    earlier = {**RECORD, "nets": 9, "method": "dm", "settings": {"lr": 1.0}}
    unchanged = {**RECORD, "nets": 5, "method": "dm", "settings": {"lr": 0.05}}
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f"{json.dumps(record)}\n" for record in (earlier, now)))
    assert [record["nets"] for record in best_records(tmp_path)] == [RECORD["nets"]]
    path.write_text("".join(f"{json.dumps(record)}\n" for record in (earlier, unchanged, now)))
    assert [record["nets"] for record in best_records(tmp_path)] == [5]
    for name, value in (("labels", {"training_steps": 5}), ("data_sha256", "0"), ("asked", {"precision": "bf16"})):
        other = {**earlier, "settings": now["settings"], name: value}
        path.write_text("".join(f"{json.dumps(record)}\n" for record in (other, {**now, name: None})))
        assert [record["nets"] for record in best_records(tmp_path)] == [RECORD["nets"]], name


def test_the_page_of_this_repository_is_that_of_its_records() -> None:
    root = Path(__file__).parents[2]
    assert (root / "docs/results.md").read_text() == render_page(root / "results")


def test_a_row_of_a_single_network_and_of_one_without_a_published_number() -> None:
    single = {**RECORD, "scores": {"ConvNet": {"n": 1, "mean": 71.0, "std": None, "values": [71.0]}}}
    assert compare_with_published(single, "ConvNet") == ("71.0", "70.5 ± 0.6", "+0.5")
    assert compare_with_published({**single, "published": {"ConvNet": [98.8, None]}}, "ConvNet") == (
        "71.0",
        "98.8",
        "-27.8",
    )
    assert compare_with_published({**single, "published": {}}, "ConvNet") == ("71.0", "-", "")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "{}",
        "null",
        '{"preset": "dc/mnist/1", "other": 1}',
        json.dumps({key: value for key, value in RECORD.items() if key != "scores"}),
        json.dumps({key: value for key, value in RECORD.items() if key != "versions"} | {"more": 1}),
        json.dumps(RECORD)[:-20],
    ],
)
def test_a_damaged_line_is_refused(line: str, tmp_path: Path) -> None:
    write(tmp_path, "one", RECORD)
    with (tmp_path / "one.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(
        InputError, match=r"one\.jsonl has a line that is not a record of `datacondense reproduce`: remove"
    ):
        render_page(tmp_path)


def test_bytes_that_are_no_text_are_refused_and_an_empty_file_is_no_result(tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_bytes(b"\xff\xfe\n")
    with pytest.raises(InputError, match="has a line that is not a record"):
        best_records(tmp_path)
    (tmp_path / "one.jsonl").write_bytes(b"")
    assert best_records(tmp_path) == []
