"""``ro-crate-metadata.json``: the store as a research object, as in the OME 2024 NGFF challenge."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from ngff_bio.errors import import_optional
from ngff_bio.publishing.description import licence_url
from ngff_bio.viewing.landing import Description

NAME = "ro-crate-metadata.json"

#: Terms of the challenge (ome/ome2024-ngff-challenge, ``zarr_crate``) besides those of RO-Crate.
_TERMS = {
    "organism_classification": "https://schema.org/taxonomicRange",
    "obo": "http://purl.obolibrary.org/obo/",
    "biosample": "http://purl.obolibrary.org/obo/OBI_0002648",
    "specimen": "http://purl.obolibrary.org/obo/HSO_0000308",
    "preparation_method": "https://www.wikidata.org/wiki/Property:P1537",
}


def ro_crate(about: Description, url: str | None, files: Mapping[str, str]) -> bytes:
    """The metadata of a store as RO-Crate 1.1.

    Parameters
    ----------
    about
        What is known: only that is written.
    url
        Where the store is on the web.
    files
        Names of files at the root, and what they are.

    Raises
    ------
    ngff_bio.errors.DependencyError
        If rocrate is not installed.
    """
    rocrate = import_optional("rocrate.rocrate", "ngff-bio[publish]")
    model = import_optional("rocrate.model", "ngff-bio[publish]")
    crate = rocrate.ROCrate(version="1.1")
    crate.name = about.title
    crate.description = about.description or about.title
    crate.datePublished = date.today().isoformat()
    root = crate.root_dataset

    def add(identifier: str, kind: str, **properties: Any) -> Any:
        given = {"@type": kind, **{k: v for k, v in properties.items() if v}}
        return crate.add(model.ContextEntity(crate, identifier, properties=given))

    if about.licence:
        address = licence_url(about.licence)
        licence = address and add(address, "CreativeWork", name=about.licence)
        root["license"] = licence or about.licence
    for name, value in (("url", url), ("citation", about.citation), ("identifier", about.doi)):
        if value:
            root[name] = value
    if about.keywords:
        root["keywords"] = list(about.keywords)
    if about.creators:
        root["author"] = [
            add(f"#author-{n}", "Person", name=name) for n, name in enumerate(about.creators, 1)
        ]
    for name, text in files.items():
        crate.add_file(dest_path=name, properties={"description": text})
    biosample = specimen = None
    if about.taxon or about.organism:
        taxon = {"@id": f"NCBI:txid{about.taxon}"} if about.taxon else None
        biosample = add(
            "#biosample", "biosample", name=about.organism, organism_classification=taxon
        )
    if biosample or about.preparation:
        specimen = add(
            "#specimen", "specimen", biosample=biosample, preparation_method=about.preparation
        )
    if specimen or about.fbbi or about.modality:
        root["resultOf"] = add(
            "#acquisition",
            "image_acquisition",
            name=about.modality,
            specimen=specimen,
            fbbi_id={"@id": f"obo:FBbi_{about.fbbi}"} if about.fbbi else None,
        )
    crate.metadata.extra_terms.update(_TERMS)
    return json.dumps(crate.metadata.generate(), indent=1, ensure_ascii=False).encode()
