"""docs/format.md: its Python runs as it is written where datacondense is not installed."""

import hashlib
import json
import os
import re
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest
import torch

from datacondense import Spec, SyntheticSet, load
from datacondense.formats import FORMATS, export
from datacondense.formats.accuracies import Accuracies
from datacondense.synthetic.provenance import Provenance
from datacondense.synthetic.set import FILE_NAME, save

PAGE = (Path(__file__).parents[2] / "docs" / "format.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
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
    "export/folder": "4 images of 2 classes ['T-shirt/top', 'T-shirt/top']\n",
    "export/npz": "4 images of 2 classes, made by dm\n",
    "export/hf": "4 images of 2 classes (4, 1, 8, 8) (8, 8)\n",
    "export/pt": "4 images (4, 1, 8, 8) torch.float32 torch.int64\nConvNet 0.75\n",
}
SAME = """
import numpy as np
import torch
expected = torch.load("expected.pt")
given = torch.as_tensor(np.asarray(images))
assert given.dtype == torch.float32, given.dtype
assert torch.equal(torch.as_tensor(np.asarray(labels)), expected["labels"])
assert torch.allclose(given, expected["images"], rtol=0, atol=TOLERANCE)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with an export of each kind, and an environment without datacondense."""
    folder = tmp_path_factory.mktemp("format")
    spec = Spec("clothes", ("T-shirt/top", "Dress"), (1, 8, 8), (0.3,), (0.25,))
    images = (torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)) - 0.3) / 0.25
    made = SyntheticSet(
        images, torch.tensor([0, 0, 1, 1]), spec, Provenance.from_json({"method": "dm", "settings": {}, "seed": 0})
    )
    (folder / "run").mkdir()
    save(made, folder / "run" / FILE_NAME)
    torch.save({"images": made.images, "labels": made.labels}, folder / "expected.pt")
    for to in FORMATS:
        export([made], to, folder / "export" / to, scores=[{"ConvNet": Accuracies([0.5, 1.0], "")}])
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


@pytest.mark.parametrize("what", PRINTED)
def test_the_python_of_the_page_runs_without_datacondense(place: Path, what: str) -> None:
    (block,) = (block for block in BLOCKS if f'"{what}' in block)
    assert "datacondense" not in re.sub(r'"[^"]*"', "", block)
    code = block + SAME.replace("TOLERANCE", "0.5 / 255 / 0.25 + 1e-6" if what == "export/folder" else "0")
    result = run(place, code)
    assert result.returncode == 0, result.stderr
    assert result.stdout == PRINTED[what]


def test_every_block_of_the_page_is_run() -> None:
    assert len(BLOCKS) == len(PRINTED)


def test_the_checksum_of_the_page_notices_a_changed_bit(place: Path) -> None:
    (block,) = (block for block in BLOCKS if '"run/' in block)
    data = bytearray((place / "run" / FILE_NAME).read_bytes())
    data[-100] ^= 1
    (place / "changed").mkdir(exist_ok=True)
    (place / "changed" / FILE_NAME).write_bytes(data)
    result = run(place, block.replace('"run/', '"changed/'))
    assert "AssertionError: the file is damaged" in result.stderr


def test_the_fingerprint_is_made_as_the_page_says() -> None:
    train, _ = load("digits")
    digest = hashlib.sha256(json.dumps({key: train.spec.to_json()[key] for key in FIELDS}).encode())
    digest.update(train.images.numpy().tobytes())
    digest.update(train.labels.numpy().tobytes())
    assert digest.hexdigest() == train.fingerprint()
    assert ", ".join(f"`{field}`" for field in FIELDS) in PAGE
