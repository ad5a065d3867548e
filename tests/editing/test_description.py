"""Title, licence and citation can be written into a finished store; verify knows that they were."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))

from scenes import collection, volume
from typer.testing import CliRunner

import ngff_bio
from ngff_bio.checks.source.verify import verify
from ngff_bio.cli.app import app
from ngff_bio.engine import write_dataset
from ngff_bio.errors import ArgumentError, StoreError
from ngff_bio.storage import FolderStorage, MemoryStorage


@pytest.mark.parametrize("make", [collection, volume])
def test_a_store_is_described_and_stays_equal_to_its_source(make: Any) -> None:
    storage, source = MemoryStorage(), make()
    write_dataset(source, storage)
    found = ngff_bio.describe(storage, title="Cells", licence="CC-BY-4.0", author="Ada")
    assert found == {"title": "Cells", "licence": "CC-BY-4.0", "citation": None}
    attributes = ngff_bio.open(storage).attributes
    assert (attributes["name"], attributes["licence"]) == ("Cells", "CC-BY-4.0")
    assert attributes["attributes"]["described"]["by"] == "Ada"
    done = verify(storage, source)
    assert done.equal, done.differences
    assert not [f for f in ngff_bio.validate(storage) if f.level == "error"]
    ngff_bio.describe(storage, licence="", citation="A et al.")
    attributes = ngff_bio.open(storage).attributes
    assert "licence" not in attributes
    assert attributes["citation"] == "A et al."
    assert attributes["attributes"]["described"]["fields"] == ["citation", "licence", "name"]
    assert verify(storage, source).equal
    with pytest.raises(ArgumentError, match="nothing to describe"):
        ngff_bio.describe(storage)


def test_a_store_of_another_program_is_refused() -> None:
    storage = MemoryStorage({"zarr.json": b'{"zarr_format": 3, "node_type": "group"}'})
    with pytest.raises(StoreError, match="not written by ngff_bio"):
        ngff_bio.describe(storage, title="x")


def test_the_commands_describe_and_add_tables(tmp_path: Path) -> None:
    store = tmp_path / "a.zarr"
    write_dataset(collection(1), FolderStorage(store))
    run = CliRunner().invoke
    assert run(app, ["describe", str(store), "--title", "T", "--license", "CC0-1.0"]).exit_code == 0
    assert ngff_bio.open(store).attributes["licence"] == "CC0-1.0"
    table = tmp_path / "rows.csv"
    table.write_text("label,size\n1,2.5\n")
    given = ["table", "add", str(store), "0", "sizes", str(table)]
    assert run(app, given).exit_code == 0
    assert ngff_bio.open(store)["0"].annotations("sizes")["size"].tolist() == [2.5]
    assert run(app, given).exit_code != 0
    assert run(app, [*given, "--overwrite"]).exit_code == 0
    assert verify(FolderStorage(store)).equal
