"""The notebook runs in a kernel of its own, and shows a bar, pictures and a table."""

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "examples" / "tour.ipynb"


def outputs(notebook: Any) -> list[dict[str, Any]]:
    """The outputs of all cells, by type of content."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs or cell.source.startswith("import datacondense") for cell in cells)
    return [output.get("data", {}) for cell in cells for output in cell.outputs]


def check(notebook: Any) -> None:
    """Check what the cells show, and that nothing is written to stderr: no warning, no broken bar."""
    html = [data["text/html"] for data in outputs(notebook) if "text/html" in data]
    bars = [text for text in html if "<progress" in text]
    assert len(bars) == 2
    assert all('value="1.0000"' in bar for bar in bars)
    assert len([text for text in html if "<img" in text]) == 3
    assert any("random real" in text and "<table>" in text for text in html)
    assert any('class="dataframe"' in text for text in html)
    assert any("image/png" in data for data in outputs(notebook))
    streams = [output for cell in notebook.cells for output in cell.get("outputs", []) if output.get("name")]
    assert [output.name for output in streams] == ["stdout"]


def test_the_stored_outputs_are_those_of_a_whole_run() -> None:
    check(nbformat.read(NOTEBOOK, as_version=4))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the libraries of Jupyter
def test_the_notebook_runs(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook: Any = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        cell.source = (
            cell.source.replace("iterations=100", "iterations=4")
            .replace("epochs=150", "epochs=2")
            .replace("whole_epochs=12", "whole_epochs=1")
        )
        cell.outputs = []
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    check(notebook)
