"""What is told of the machine, and what stands there when nothing was asked."""

import re
import shlex
from pathlib import Path

import pytest
import torch

from datacondense import __version__
from datacondense.cli.app import main


def test_doctor(tmp_path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv("DATACONDENSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CXX", "no-such-compiler")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "x").write_bytes(bytes(3 * 2**20))
    assert main(["doctor", "--data-dir", str(tmp_path)]) == 0
    found = dict(re.findall(r"^(\S+) +(.*)$", capsys.readouterr().out, re.MULTILINE))
    assert found["datacondense"] == __version__
    assert found["torch"] == torch.__version__
    assert found["compiler"].startswith("none: runs are not compiled")
    assert found["cache"] == f"{tmp_path / 'cache'}, 1 files, 3 MiB"
    assert found["tensorboard"] == "installed, for --log tensorboard"
    assert "not on this disk" in found["mnist"]
    assert float(found["memory"].split()[0]) > 0


def test_doctor_finds_data(tmp_path, capsys) -> None:
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for part in ("train", "t10k"):
        for kind in ("images-idx3", "labels-idx1"):
            (folder / f"{part}-{kind}-ubyte").touch()
    assert main(["doctor", "--data-dir", str(tmp_path)]) == 0
    assert f"found in {folder}" in capsys.readouterr().out


def test_without_arguments_it_says_what_to_do_next(capsys) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    commands = re.findall(r"(datacondense (?:condense|evaluate|list|doctor)[^,\n]*)", out)
    assert len(commands) >= 6
    for command in commands:
        words = shlex.split(command)[1:]
        if words[0] in ("condense", "evaluate") and "NAME" not in words:
            with pytest.raises(SystemExit) as end:  # the options are there
                main([*words, "--help"])
            assert end.value.code == 0
    assert Path.cwd().exists()
