"""The report: what stands in it, that it needs nothing else, and how a browser takes it."""

import html
import io
import json
import re
import shlex
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from toy_methods import TOY

from datacondense import InputError, Spec, SyntheticSet, condense, evaluate, import_sets, methods
from datacondense.cli.app import main
from datacondense.cli.commands.condense import Condense
from datacondense.cli.parsing import parse
from datacondense.formats.local_paths import without_folders
from datacondense.methods import DC, DistributionMatching, Method, Random
from datacondense.pictures import from_png
from datacondense.report import write_report
from datacondense.report.command import command
from datacondense.report.number_text import accuracy, size
from datacondense.synthetic.provenance import Provenance
from datacondense.synthetic.set import load_set, save


def text_of(path: Path) -> str:
    """What a reader sees, in one line."""
    page = re.sub(r"<(style|script)>.*?</\1>", "", path.read_text(), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


@pytest.fixture
def runs(tmp_path, monkeypatch: pytest.MonkeyPatch, capsys) -> Path:
    """Two runs of dm and one of random, evaluated by the commands."""
    monkeypatch.chdir(tmp_path)
    quick = "--data digits --arch ConvNetD1"
    assert main(f"condense dm {quick} --ipc 1 --iterations 4 --batch-real 8 --snapshots 2 --out runs/one".split()) == 0
    assert main(f"condense dm {quick} --ipc 2 --iterations 3 --batch-real 8 --lr 2 --out runs/two".split()) == 0
    assert main(f"condense random {quick} --ipc 1 --out runs/chosen".split()) == 0
    assert "report: runs/chosen/report.html" in capsys.readouterr().out
    more = "--nets 2 --epochs 2 --beside random whole --whole-epochs 1"
    assert main(f"evaluate runs/one runs/two {more}".split()) == 0
    return tmp_path / "runs"


def test_a_page_tells_of_every_run_and_compares_them(runs: Path, capsys) -> None:
    capsys.readouterr()
    assert main("report runs/one runs/two runs/chosen --out report.html --figures figures".split()) == 0
    written = capsys.readouterr().out.split()
    assert written[0] == "report.html"
    assert all(Path(path).stat().st_size > 1000 for path in written)
    assert {Path(path).suffix for path in written[1:]} == {".svg", ".png"}
    page = text_of(Path("report.html"))
    scores = json.loads((runs / "one" / "scores.jsonl").read_text())
    for label in ("dm ipc 1", "random real ipc 1", "whole set"):
        assert accuracy(scores[label]["accuracy"]["ConvNetD1"]) in page
    assert "Accuracy over images per class" in page
    assert "Accuracy over the time of condensing" in page
    assert "0.7 % of 1,437" in page
    assert "Images over the iterations" in page
    assert "condense dm --data digits --ipc 2 --iterations 3 --arch ConvNetD1 --lr 2.0 --batch-real 8 --seed 0" in page
    assert "To evaluate the others: datacondense evaluate runs/chosen --beside random whole" in page
    assert re.search(r"lr 2\.0 1\.0", page)  # what differs from the default stands beside it


def test_seeds_are_one_point_and_other_settings_another_line(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    quick = "--data digits --arch ConvNetD1 --batch-real 8 --iterations 1"
    for name, more in {"a": "--ipc 1", "b": "--ipc 1 --seed 1", "c": "--ipc 2", "d": "--ipc 2 --lr 3"}.items():
        assert main(f"condense dm {quick} {more} --out {name}".split()) == 0
        assert main(f"evaluate {name} --nets 1 --epochs 1".split()) == 0
    number = r"[\d.]+ %"
    write_report(["a", "b", "c"], "report.html")
    path = rf"dm: {number} with 1 per class, {number} with 2 per class\""
    assert re.search(path, Path("report.html").read_text())
    assert "Not all networks were trained in the same way" not in text_of(Path("report.html"))
    write_report(["a", "c", "d"], "report.html")
    assert re.search(rf"dm lr 3.0: {number} with 2 per class\"", Path("report.html").read_text())


def test_networks_that_were_not_trained_alike_are_told(runs: Path) -> None:
    write_report([runs / "one", runs / "two"], "report.html")
    assert "Not all networks were trained in the same way" not in text_of(Path("report.html"))
    assert main("evaluate runs/one --nets 1 --epochs 3".split()) == 0
    write_report([runs / "one", runs / "two"], "report.html")
    assert "Not all networks were trained in the same way" in text_of(Path("report.html"))


def test_the_page_loads_nothing_and_every_image_has_words(runs: Path) -> None:
    write_report([runs / "one", runs / "two"], "report.html")
    page = re.sub(r"<script>.*</script>", "", Path("report.html").read_text(), flags=re.DOTALL)
    addresses = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", page)
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    images = re.findall(r"<img [^>]*>", page)
    assert len(images) > 30
    assert all(re.search(r'alt="[^"]+"', image) for image in images)
    assert len(re.findall(r'role="img" aria-label="[^"]+"', page)) == page.count('role="img"') > 5
    identities = re.findall(r'\sid="([^"]+)"', page)
    assert len(identities) == len(set(identities))


def test_what_the_page_is_made_of_lies_in_the_runs(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_report([runs / "one"], "here.html")
    moved = runs.parent / "elsewhere"
    runs.rename(moved)
    monkeypatch.setattr("datacondense.data.source.DataSource.load", None)
    write_report([moved / "one"], "there.html")
    assert Path("here.html").read_text() == Path("there.html").read_text()


def test_nearest_real_images_are_those_of_the_training_set(toy, tmp_path) -> None:
    real = toy()
    made = condense(Random(arch="MLP"), real, 2, out=tmp_path / "run")
    write_report([tmp_path / "run"], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    pairs = re.findall(r'<img src="([^"]+)"[^>]*><img class="real" src="([^"]+)"', page)
    assert len(pairs) == len(made)
    assert all(image == neighbour for image, neighbour in pairs)  # real images are nearest to themselves


def test_of_large_data_the_neighbours_are_those_that_were_asked_for(runs: Path, monkeypatch) -> None:
    monkeypatch.setattr("datacondense.pictures.SEARCHED", 1000)
    assert main("condense random --data digits --ipc 1 --out large".split()) == 0
    assert 'class="real"' not in Path("large/report.html").read_text()
    assert main("show large --real".split()) == 0
    assert main("report large".split()) == 0
    assert Path("large/report.html").read_text().count('class="real"') == 10


def many_classes(folder: Path, *, classes: int, seed: int = 0) -> Path:
    """Write a set of ten noisy images of each class, of which no file is small."""
    names = tuple(f"class {number} <&>" for number in range(classes))
    spec = Spec("many", names, (3, 64, 64), (0.5,) * 3, (0.25,) * 3)
    images = torch.randn(10 * classes, 3, 64, 64, generator=torch.Generator().manual_seed(seed))
    labels = torch.arange(classes).repeat_interleave(10)
    made = SyntheticSet(images, labels, spec, Provenance(method="dm", settings={}, ipc=10))
    folder.mkdir(parents=True)
    save(made, folder / "synthetic.safetensors")
    return folder


def test_two_hundred_classes_fit_a_small_page(tmp_path) -> None:
    write_report([many_classes(tmp_path / "run", classes=200)], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert len(page) < 3_000_000
    assert all(f'data-class="class {number} &lt;&amp;&gt;"' in page for number in range(200))
    assert "<&>" not in page
    assert "The first of 10 images of each class." in text_of(tmp_path / "report.html")
    assert "the other 180 classes" in text_of(tmp_path / "report.html")
    assert "These images are compressed" in text_of(tmp_path / "report.html")


@pytest.mark.slow
def test_three_sets_fit_a_small_page_class_by_class(tmp_path) -> None:
    runs = [many_classes(tmp_path / name, classes=12, seed=seed) for seed, name in enumerate("abc")]
    write_report(runs, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert len(page) < 3_000_000
    (first, *_) = re.findall(r'<li class="class" data-class="class 0 .*?\n</li>', page, re.DOTALL)
    assert re.findall(r'class="cell" data-run="(\w)"', first) == ["a", "b", "c"]
    assert first.count("<img ") == 30


def test_an_imported_set_shows_the_accuracies_that_it_came_with(toy, tmp_path) -> None:
    made = condense(Random(arch="MLP"), toy(), 1)
    torch.save({"data": [[made.images, made.labels]], "accs_all_exps": {"ConvNet": [0.5, 0.6]}}, tmp_path / "set.pt")
    (run,) = import_sets(tmp_path / "set.pt", made.spec, tmp_path / "run", pixels="normalised")
    write_report([run], tmp_path / "report.html")
    page = text_of(tmp_path / "report.html")
    assert "imported from set.pt" in page
    assert "ConvNet 55.0 ± 7.1 (as published)" in page


@pytest.mark.filterwarnings("ignore:a batch of .* images per class:UserWarning")
def test_reproduce_ends_by_a_report(tmp_path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    quick = "--data digits --scale 1e-5 --seeds 2 --nets 1"
    assert main(f"reproduce dm/fashion-mnist/1 {quick}".split()) == 0
    (path,) = re.findall(r"^report: (.*)$", capsys.readouterr().out, re.MULTILINE)
    record = json.loads(next(Path("results").glob("*.jsonl")).read_text())
    page = text_of(Path(path))
    for value in record["scores"]["ConvNet"]["values"]:
        assert f"{value:.1f}" in page


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("log.jsonl", '{"iteration": 1}', "log.jsonl is damaged: line 1 is not an iteration of a run"),
        ("evaluation.json", "[1]", "evaluation.json is damaged: it is not a score of `evaluate`"),
        ("scores.jsonl", '{"dm": 1}', "scores.jsonl is damaged: line 1 is not a score of `evaluate`"),
        ("scores.jsonl", "{}\n[1]", "scores.jsonl is damaged: line 2 is not a score of `evaluate`"),
    ],
)
def test_damaged_files_are_named(file: str, content: str, said: str, toy, tmp_path) -> None:
    condense(Random(arch="MLP"), toy(), 1, out=tmp_path / "run")
    (tmp_path / "run" / file).write_text(content)
    with pytest.raises(InputError, match=said):
        write_report([tmp_path / "run"], tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_what_the_command_refuses(tmp_path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments, said in {
        "report": "name a run, before the options: datacondense report RUN",
        "report absent --out report.html": "absent is not a run directory",
        "report absent --out no/report.html": "--out no/report.html: there is no directory no",
    }.items():
        assert main(arguments.split()) == 2
        assert said in capsys.readouterr().err


@pytest.mark.parametrize("method", [*TOY.values(), DC(), DistributionMatching(adam=True, init="kmeans")], ids=repr)
def test_the_command_of_a_run_gives_its_settings_again(method: Method) -> None:
    made = {
        "method": methods.method_name(method),
        "settings": json.loads(json.dumps(method.settings())),
        "source": {"source": "folder:my photos", "image_size": 32, "min_per_class": 3},
        "ipc": 3,
        "seed": 5,
        "device": "cpu",
        "compile": "off",
        "classes_at_once": 2,
    }
    line = command(Provenance.from_json(made))
    assert line is not None
    name, *words = shlex.split(line)
    assert name == "datacondense"
    job = parse(words)
    assert isinstance(job, Condense)
    assert job.method == method
    assert (job.data, job.ipc, job.seed, job.drop_small_classes) == ("folder:my photos", 3, 5, True)
    assert (job.computing.device, job.computing.compile, job.computing.classes_at_once, job.image_size) == (
        "cpu",
        "off",
        2,
        32,
    )


def test_a_page_names_no_folder(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret place").mkdir()
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    place = tmp_path / "secret place"
    images = np.random.default_rng(0).integers(0, 256, (8, 8, 8), np.uint8)
    np.savez(place / "mine.npz", images=images, labels=np.arange(8) % 2)
    (place / "p.py").write_text(
        "from dataclasses import dataclass\nimport datacondense as dc\n"
        "@dataclass(frozen=True, kw_only=True)\nclass Chosen(dc.methods.Random):\n"
        '    """Random."""\n'
        "METHODS = {'chosen': Chosen}\n"
    )
    words = ["--data", f"arrays:{place / 'mine.npz'}", "--plugin", str(place / "p.py"), "--ipc", "1", "--arch", "MLP"]
    for run in ("a", "b"):
        assert main(["condense", "chosen", *words, "--out", str(place / run / "run")]) == 0
    assert main(["report", str(place / "a" / "run"), str(place / "b" / "run"), "--out", "page.html"]) == 0
    for page in (Path("page.html"), place / "a" / "run" / "report.html"):
        assert "secret place" not in page.read_text()
        assert "condense chosen --plugin p.py --data arrays:mine.npz --ipc 1" in text_of(page)
    made = Provenance(source={"source": "hub:/home/me/photos:small", "data_dir": "/home/me/data"})
    assert without_folders(made).source == {"source": "hub:photos:small", "data_dir": "data"}
    made = Provenance(source={"source": "hub:me/photos"})
    assert without_folders(made).source == {"source": "hub:me/photos"}


def test_no_command_where_it_cannot_be_said() -> None:
    assert command(Provenance(method="imported", source={"source": "digits"})) is None
    assert command(Provenance(method="dm")) is None
    source = {"source": "digits", "min_per_class": 2}
    made = Provenance(method="random", settings=Random(arch="MLP").settings(), source=source, ipc=2, seed=0)
    assert "--drop-small-classes" in str(command(made))
    assert command(made.changed(ipc=6)) is None
    chosen = {"teacher": "real", "trials": [{"accuracy": 0.5}], "steps": 500}
    assert "--labels teacher" in str(command(made.changed(labels=chosen)))
    assert command(made.changed(labels={**chosen, "views": 20})) is None


def test_words_for_numbers() -> None:
    assert [size(value) for value in (999, 2_500_000)] == ["1.0 kB", "2.5 MB"]
    assert [accuracy(values) for values in ([], [0.5], [0.5, 0.6], [None])] == ["", "50.0", "55.0 ± 7.1", ""]


def test_confusions_are_of_all_networks(toy) -> None:
    made, test = condense(Random(arch="ConvNetD1"), toy(), 2), toy(draw=1)
    scores = evaluate(made, test, nets=3, epochs=3, augment="none")
    counts = np.array(scores.confusion["ConvNetD1"])
    assert counts.sum(1).tolist() == (3 * test.counts).tolist()
    assert counts.trace() / counts.sum() == pytest.approx(np.mean(scores.accuracy["ConvNetD1"]))
    per_class = np.mean(np.array(scores.per_class["ConvNetD1"]), axis=0)
    assert np.allclose(counts.diagonal() / counts.sum(1), per_class)
    assert replace(scores, confusion={}).to_json()["confusion"] == {}


def _takes_its_files(page: Any, runs: Path) -> None:
    """Sort, filter and hover, and download what the page offers; `page` is open in a browser."""

    def downloaded(button: Any) -> bytes:
        with page.expect_download() as found:
            button.click()
        return Path(found.value.path()).read_bytes()

    page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    page.locator(".chart").first.scroll_into_view_if_needed()
    page.locator(".hero-chart .scroll").focus()
    page.keyboard.press("ArrowRight")
    assert re.fullmatch(r"random real, 10 images: [\d.]+ ± [\d.]+ %", page.locator("#tip").inner_text())
    table = page.locator("table.data", has_text="most often taken for").first
    head = table.locator("th button").first
    names = table.locator("tbody th")
    assert names.all_inner_texts() == [str(number) for number in range(10)]
    head.click()
    head.click()
    assert names.all_inner_texts() == [str(number) for number in range(9, -1, -1)]
    assert table.locator("th").first.get_attribute("aria-sort") == "descending"
    files = zipfile.ZipFile(io.BytesIO(downloaded(page.locator(".zip"))))
    assert files.testzip() is None
    made = load_set(runs / "two")
    pixels = [from_png(files.read(f"two/003 2/0{number}.png"), made.spec) for number in (1, 2)]
    assert torch.equal(torch.stack(pixels), made.spec.pixels(made.images[made.labels == 2]))
    page.locator("#filter").fill("7")
    assert page.locator(".hero .class:visible").count() == 1
    few = zipfile.ZipFile(io.BytesIO(downloaded(page.locator(".zip"))))
    assert len(few.namelist()) == 4
    page.locator("#filter").fill("")
    assert b"currentColor" in downloaded(page.locator(".hero-chart .save button").first)
    for button in (page.locator(".hero-chart .save button").nth(1), page.locator(".picture")):
        with Image.open(io.BytesIO(downloaded(button))) as picture:
            assert picture.format == "PNG"
            assert min(picture.size) > 200
            assert len(set(picture.convert("L").tobytes())) > 2
    assert downloaded(page.locator("a", has_text="CSV").first).startswith(b"run,method,images,")


CHROMIUM = shutil.which("chromium")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium")
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_browser_finds_nothing_wrong(width: int, scheme, runs: Path) -> None:
    """No error, no request, nothing wider than the window; no finding of axe; a keyboard suffices."""
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    write_report([runs / "one", runs / "two", runs / "chosen"], "report.html")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        wrong: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(Path("report.html").resolve().as_uri())
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
        found = Axe().run(page).response["violations"]
        assert [one["id"] for one in found] == []
        assert not page.locator(".pic .real").first.is_visible()
        page.locator(".toggle").first.focus()
        page.keyboard.press("Space")
        assert page.locator(".pic .real").first.is_visible()
        page.locator(".pic").first.focus()
        page.keyboard.press("Enter")
        assert page.locator("dialog img").count() == 2
        assert page.locator("dialog").is_visible()
        page.keyboard.press("Escape")
        assert not page.locator("dialog").is_visible()
        assert page.evaluate("document.activeElement.className") == "pic"
        player = page.locator(".player")
        page.locator("summary", has_text="How it was made").first.click()
        assert player.get_attribute("data-iteration") == "4"
        player.locator("input").focus()
        page.keyboard.press("ArrowLeft")
        assert player.get_attribute("data-iteration") == "2"
        assert player.locator("output").inner_text() == "2"
        page.keyboard.press("ArrowRight")
        player.locator(".play").press("Enter")  # from the start, as it is at the end
        assert player.get_attribute("data-iteration") == "0"
        assert player.locator(".play").inner_text() == "Pause"
        player.locator(".play", has_text="Play").wait_for()
        assert player.locator("output").inner_text() == "4"
        _takes_its_files(page, runs)
        assert wrong == []
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        browser.close()
