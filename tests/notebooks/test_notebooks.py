"""The notebooks run from top to bottom, as a newcomer runs them, and show what they promise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"


#: Figures that each notebook shows.
IMAGES = {"first-look": 5, "plate-on-a-cluster": 2, "segment-and-measure": 2}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda p: p.stem)
def test_a_notebook_runs(
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    if path.stem == "plate-on-a-cluster":
        server = request.getfixturevalue("bucket_server")
        monkeypatch.setenv("PLATE", "s3://bench/notebook/plate.zarr")
        monkeypatch.setenv("PLATE_OPTIONS", json.dumps(server.options))
    book = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in book.cells), "kept without outputs"
    nbclient.NotebookClient(book, timeout=300, kernel_name="python3").execute(cwd=str(tmp_path))
    shown = [out for cell in book.cells for out in cell.get("outputs", ())]
    images = [out for out in shown if "image/png" in out.get("data", {})]
    assert len(images) >= IMAGES[path.stem]
    errors = [out["text"] for out in shown if out.get("name") == "stderr"]
    assert not [
        text for text in errors if "distributed" not in text
    ]  # slow to stop where it is busy
