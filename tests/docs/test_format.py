"""docs/format.md: its Python runs as it is written where datacondense is not installed."""

import hashlib
import json
import os
import re
import subprocess
import sysconfig
import venv
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import synthetic_sets
import torch

from datacondense import ImageSet, Spec, SyntheticSet, load
from datacondense.formats import FORMATS, export
from datacondense.formats.accuracies import Accuracies
from datacondense.synthetic.decoders import DctDecoder, Decoder, PixelDecoder, TileDecoder
from datacondense.synthetic.set import FILE_NAME, save
from datacondense.synthetic.stored import Store
from datacondense.synthetic.top_labels import truncated
from datacondense.utils.files import write_tensors

PAGE = (Path(__file__).parents[2] / "docs" / "format.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def encoded(decoder: Callable[[], Decoder], store: Store) -> Callable[[ImageSet], SyntheticSet]:
    """Return a function that makes a set in a form."""
    return lambda real: synthetic_sets.encoded(decoder(), real, store=store, soft=store == "f16")


FIELDS = ("class_names", "shape", "mean", "std", "flip")
BLOCKER = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "datacondense":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""
PRINTED = {
    "run/": "4 images of 2 classes (4, 1, 8, 8)\n",
    "pixels/": "4 images torch.uint8\n",
    "tiles/": "4 stored images, 36 training images\n",
    "dct/": "9 coefficients of (28, 1, 8, 8)\n",
    "export/folder": "4 images of 2 classes ['T-shirt/top', 'T-shirt/top']\n",
    "export/npz": "4 images of 2 classes, made by dm\n",
    "export/hf": "4 images of 2 classes (4, 1, 8, 8) (8, 8)\n",
    "export/pt": "4 images (4, 1, 8, 8) torch.float32 torch.int64\nConvNet 0.75\n",
}
"""What each block of the page prints, by the path in it."""
ALSO = {
    "run-soft/": ("run/", PRINTED["run/"]),
    "run-top/": ("run/", PRINTED["run/"]),
    "run-1/": ("run/", PRINTED["run/"]),
    "pixels-f16/": ("pixels/", "4 images torch.float16\n"),
    "tiles-u8/": ("tiles/", "4 stored images, 16 training images\n"),
    "dct-u8/": ("dct/", PRINTED["dct/"]),
    "soft/folder": ("export/folder", PRINTED["export/folder"]),
    "soft/npz": ("export/npz", PRINTED["export/npz"]),
    "soft/hf": ("export/hf", PRINTED["export/hf"]),
    "soft/pt": ("export/pt", "4 images (4, 1, 8, 8) torch.float32 torch.float32\nConvNet 0.75\n"),
}
"""Other sets for a block, and what it prints of them."""
CONTINUED = ("pixels/", "tiles/", "dct/")
"""Blocks that continue those before them: the reader, and the number formats."""
ENCODED = {
    "pixels": encoded(PixelDecoder, "u8"),
    "pixels-f16": encoded(PixelDecoder, "f16"),
    "tiles": encoded(partial(TileDecoder, factor=3), "f32"),
    "tiles-u8": encoded(partial(TileDecoder, factor=2), "u8"),
    "dct": encoded(partial(DctDecoder, coefficients=9), "f32"),
    "dct-u8": encoded(partial(DctDecoder, coefficients=9), "u8"),
}
TEACHER = {"teacher": "real", "arch": "MLP", "temperature": 1.0}
SAME = """
import numpy as np
import torch
expected = torch.load("EXPECTED")
given, labels = torch.as_tensor(np.asarray(images)), torch.as_tensor(np.asarray(labels))
assert given.dtype == torch.float32, given.dtype
assert labels.dtype == expected["labels"].dtype, labels.dtype
assert torch.equal(labels, expected["labels"])
assert torch.allclose(given, expected["images"], rtol=0, atol=TOLERANCE)
"""


def tolerance(name: str) -> float:
    """Return the tolerance of a reader: 8 bits of a folder, and the rounding of another order of sums."""
    return 0.5 / 255 / 0.25 + 1e-6 if "folder" in name else 2e-6 if name.startswith(("tiles", "dct")) else 0.0


def block(name: str) -> str:
    """Return a block of the page, after those that it continues."""
    (own,) = (block for block in BLOCKS if f'"{name}' in block)
    earlier = [block for block in BLOCKS if '"run/' in block or (name in CONTINUED[1:] and '"pixels/' in block)]
    return "\n".join([*(silent(one) for one in earlier), own]) if name in CONTINUED else own


def silent(code: str) -> str:
    return re.sub(r"^print\(.*\n", "", code, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a set of each form, an export of each kind, and an environment without datacondense."""
    folder = tmp_path_factory.mktemp("format")
    pixels = torch.randint(0, 256, (120, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    real = ImageSet(
        pixels, torch.arange(120) % 2, Spec("clothes", ("T-shirt/top", "Dress"), (1, 8, 8), (0.3,), (0.25,))
    )
    hard = replace(synthetic_sets.encoded(PixelDecoder(), real), stored=None)
    soft = replace(hard, labels=synthetic_sets.soft_labels(hard.labels, 2))
    labels = truncated(soft.labels.softmax(1), 1)
    top = replace(soft, labels=labels, provenance=hard.provenance.changed(labels={"top_k": 1, **TEACHER}))
    sets = {
        "run": hard,
        "run-soft": soft,
        "run-top": top,
        "run-1": hard,
        **{name: make(real) for name, make in ENCODED.items()},
    }
    for name, made in sets.items():
        (folder / name).mkdir()
        save(made, folder / name / FILE_NAME)
        torch.save({"images": made.images, "labels": made.labels}, folder / f"expected-{name}.pt")
    header = {"format": 1, "spec": real.spec.to_json(), "provenance": hard.provenance.to_json()}
    write_tensors(folder / "run-1" / FILE_NAME, {"images": hard.images, "labels": hard.labels}, header)
    for kind, made in (("export", hard), ("soft", soft)):
        torch.save({"images": made.images, "labels": made.labels}, folder / f"expected-{kind}.pt")
        for to in FORMATS:
            export([made], to, folder / kind / to, scores=[{"ConvNet": Accuracies([0.5, 1.0], "")}])
    venv.create(folder / "venv", with_pip=False)
    (packages,) = (folder / "venv").glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (packages / "sitecustomize.py").write_text(BLOCKER)
    return folder


def run(place: Path, code: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"HF_HOME": str(place / "hf"), "HF_DATASETS_OFFLINE": "1", "HF_HUB_OFFLINE": "1"}
    command = [str(place / "venv" / "bin" / "python"), "-c", code]
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)


def test_the_environment_has_no_datacondense(place: Path) -> None:
    result = run(place, "import torch, safetensors, datasets, PIL; import datacondense")
    assert result.stderr.endswith("ModuleNotFoundError: No module named 'datacondense'\n")


@pytest.mark.parametrize("what", [*PRINTED, *ALSO])
def test_the_python_of_the_page_runs_without_datacondense(place: Path, what: str) -> None:
    name, printed = ALSO.get(what, (what, PRINTED.get(what)))
    code = block(name)
    assert "datacondense" not in re.sub(r'"[^"]*"', "", code)
    code = code.replace(f'"{name}', f'"{what}') + SAME.replace("TOLERANCE", str(tolerance(what)))
    result = run(place, code.replace("EXPECTED", f"expected-{what.partition('/')[0]}.pt"))
    assert result.returncode == 0, result.stderr
    assert result.stdout == printed


def test_every_block_of_the_page_is_run() -> None:
    assert len(BLOCKS) == len(PRINTED)


def test_the_checksum_of_the_page_notices_a_changed_bit(place: Path) -> None:
    data = bytearray((place / "run" / FILE_NAME).read_bytes())
    data[-100] ^= 1
    (place / "changed").mkdir(exist_ok=True)
    (place / "changed" / FILE_NAME).write_bytes(data)
    result = run(place, block("run/").replace('"run/', '"changed/'))
    assert "AssertionError: the file is damaged" in result.stderr


def test_the_fingerprint_is_made_as_the_page_says() -> None:
    train, _ = load("digits")
    digest = hashlib.sha256(json.dumps({key: train.spec.to_json()[key] for key in FIELDS}).encode())
    digest.update(train.images.numpy().tobytes())
    digest.update(train.labels.numpy().tobytes())
    assert digest.hexdigest() == train.fingerprint()
    assert ", ".join(f"`{field}`" for field in FIELDS) in PAGE
