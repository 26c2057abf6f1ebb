"""The order of a page, and the policy by which a browser loads nothing and runs its script alone."""

import base64
import hashlib
import html
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from datacondense import SyntheticSet, condense, evaluate, image_set
from datacondense.evaluation.score_log import keep_scores
from datacondense.methods import Random
from datacondense.report import write_report
from datacondense.synthetic.set import load_set, save


@pytest.fixture(scope="module")
def tested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with scores of its set, and of random images beside it."""
    folder = tmp_path_factory.mktemp("reported") / "toy"
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (120, 1, 8, 8), dtype=np.uint8), np.repeat(np.arange(3), 40)
    real = image_set(images, labels, name="toy", mean=[0.5], std=[0.25], flip=False)
    made = condense(Random(arch="MLP"), real, 2, out=folder)
    beside = condense(Random(arch="MLP"), real, 2, seed=1)
    quick = {"archs": ["MLP"], "nets": 2, "epochs": 1, "augment": "none"}
    keep_scores(folder, {"random": evaluate(made, real, **quick), "random real": evaluate(beside, real, **quick)})
    return folder


@pytest.fixture(scope="module")
def page(tested: Path) -> str:
    return page_on(tested)


def page_on(*runs: Path) -> str:
    out = runs[0].parent / "report.html"
    write_report(list(runs), out)
    return out.read_text()


def headings(page: str) -> list[str]:
    return re.findall(r'<h2 id="[^"]+">([^<]+)</h2>', page)


def test_a_page_opens_with_images_sentence_and_bars_and_ends_with_the_fingerprint(page: str, tested: Path) -> None:
    assert headings(page) == ["Result", "Tables", "toy", "Fingerprint"]
    places = [page.index(part) for part in ('class="lead"', "<img ", 'class="chart"', "<table", "How it was made</h3>")]
    assert places == sorted(places)
    assert page.index(load_set(tested).fingerprint()) > page.index('<h2 id="fingerprints"')
    assert page.count(load_set(tested).fingerprint()) == 1
    (lead,) = re.findall(r'<p class="lead">(.*?)</p>', page)
    number = r"[\d.]+ ± [\d.]+ %"
    wanted = rf"6 images in place of 120, made by random from toy in .+, train MLP to {number} test accuracy; "
    assert re.fullmatch(rf"{wanted}6 images drawn at random to {number}\.", html.unescape(lead))
    assert "<title>toy · datacondense</title>" in page  # the data and the run have one name
    assert "<h1>toy</h1>" in page


def test_a_page_on_several_runs_compares_them_first(tested: Path, toy) -> None:
    condense(Random(arch="MLP"), toy(), 1, out=tested.parent / "my other")
    page = page_on(tested, tested.parent / "my other")
    assert headings(page) == ["Result", "Tables", "toy", "my other", "Fingerprints"]
    (contents,) = re.findall(r'<nav class="contents".*?</nav>', page, re.DOTALL)
    targets = re.findall(r'href="#([^"]+)"', contents)
    assert all(page.count(f'id="{target}"') == 1 for target in targets)
    (lead,) = re.findall(r'<p class="lead">(.*?)</p>', page)
    assert "To evaluate the others: <code>datacondense evaluate &#39;my other&#39; --beside random whole</code>" in lead
    assert "evaluate RUN" not in page


def test_columns_without_a_number_are_left_out(page: str, tested: Path, toy) -> None:
    def head(text: str) -> list[str]:
        return re.findall(r'<th scope="col"[^>]*>([^<]+)</th>', text[text.index('aria-label="Summary"') :])

    assert head(page)[:6] == ["run", "method", "images", "network", "random real", "this set"]
    condense(Random(arch="MLP"), toy(), 1, out=tested.parent / "new")
    assert head(page_on(tested.parent / "new"))[:4] == ["run", "method", "images", "of the data"]


def test_the_policy_names_this_script_and_style_alone(page: str) -> None:
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    rules = dict(rule.split(" ", 1) for rule in html.unescape(policy).split("; "))
    for tag in ("script", "style"):
        (text,) = re.findall(rf"<{tag}\b[^>]*>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{digest}'"
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["img-src"] == "data: blob:"
    assert page.index("Content-Security-Policy") < page.index("<style")
    assert not re.search(r"\son\w+=", page.partition("<script>")[0])  # inline handlers would not run


def test_nothing_is_loaded_from_elsewhere(page: str) -> None:
    script, rest = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)[0], page.partition("<script>")[0]
    addresses = re.findall(r"""(?:src|href|url|srcset|poster|action)\s*[=(]\s*["']?([^"')\s>]+)""", rest)
    assert len(addresses) > 10
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert not re.findall(r"fetch\(|XMLHttpRequest|import\(|eval\(|Function\(|innerHTML", script)
    assert re.findall(r"https?://[^\"']+", script) == ["http://www.w3.org/2000/svg"]  # a name


def test_signs_are_those_of_print(page: str) -> None:
    text = re.sub(r"data:[^\"]*|<script>.*</script>|<style>.*</style>", "", page, flags=re.DOTALL)
    assert "+-" not in text
    assert '<th scope="col" class="number">\N{MULTIPLICATION SIGN} uint8</th>' in page
    assert '<td class="number">2 \N{MULTIPLICATION SIGN} 1</td>' in page


def test_more_than_four_sets_stand_below_each_other(toy, tmp_path: Path) -> None:
    condense(Random(arch="MLP"), toy(), 2, out=tmp_path / "run")
    few, many = (page_on(*[tmp_path / "run"] * count) for count in (4, 5))
    assert (few.count('class="classes sets"'), many.count('class="classes sets stacked"')) == (1, 1)
    assert (few.count('class="heads"'), many.count('class="heads"')) == (1, 0)


def test_classes_that_one_set_lacks_are_told(toy, tmp_path: Path) -> None:
    made = condense(Random(arch="MLP"), toy(), 1)
    (tmp_path / "own").mkdir()
    (tmp_path / "other").mkdir()
    save(made, tmp_path / "own" / "synthetic.safetensors")
    spec = replace(made.spec, class_names=("0", "1", "new"))
    save(SyntheticSet(made.images, made.labels, spec, made.provenance), tmp_path / "other" / "synthetic.safetensors")
    page = page_on(tmp_path / "own", tmp_path / "other")
    rows = re.findall(r'<li class="class" data-class="(\w+)">(.*?)\n</li>', page, re.DOTALL)
    assert [(name, text.count("<img "), text.count(">none<")) for name, text in rows] == [
        ("0", 2, 0),
        ("1", 2, 0),
        ("2", 1, 1),
        ("new", 1, 1),
    ]
