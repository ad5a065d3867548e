"""The JSON Schemas in ``schemas/`` are those of the models, and stores hold to them."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import zarr
from makers import make_platelet_em

import ngff_bio
from ngff_bio.ngff.attributes import json_schemas

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"


def test_schema_files_are_in_step_with_the_models() -> None:
    files = {p.name: json.loads(p.read_text()) for p in SCHEMAS.glob("*.schema.json")}
    assert files == json.loads(json.dumps(json_schemas()))


def test_every_schema_is_a_valid_one() -> None:
    for schema in json_schemas().values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_attributes_of_a_converted_store_hold_to_their_schemas(tmp_path: Path) -> None:
    truth = make_platelet_em(tmp_path, size="tiny")
    ngff_bio.convert(truth.root, tmp_path / "out.zarr")
    root = zarr.open_group(str(tmp_path / "out.zarr"), mode="r")
    seen = set()
    for path in ["", "24", "50", "50/labels/semantic", "50/labels/instance-cell"]:
        own = dict(root[path].attrs if path else root.attrs)["ngff_bio"]
        seen.add(own["kind"])
        schema = json.loads((SCHEMAS / f"{own['kind']}-{own['version']}.schema.json").read_text())
        jsonschema.validate(own, schema)
    assert seen == {"dataset", "image", "labels"}
