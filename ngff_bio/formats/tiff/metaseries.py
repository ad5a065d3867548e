"""The description that MetaMorph and MetaXpress write into a TIFF: XML of ``prop`` elements."""

from __future__ import annotations

from ngff_bio.formats.problems import damage_named
from ngff_bio.formats.tiff.files import locked_tiff
from ngff_bio.formats.xml import parse_xml
from ngff_bio.model import SourceFile


def metaseries_values(file: SourceFile) -> dict[str, str]:
    """Values of the first page by id (``stage-position-x``, ``spatial-calibration-units``, ...).

    Empty if the description is of another kind.

    Raises
    ------
    ngff_bio.errors.SourceError
        If the TIFF is damaged, or its description is.
    """
    with damage_named(file.name, "the TIFF cannot be read"), locked_tiff(file) as opened:
        text = opened.tiff.pages.first.description.strip()
    if not text.startswith("<MetaData>"):
        return {}
    root = parse_xml(text.encode(), file.name)
    return {e.get("id", ""): e.get("value", "") for e in root.iter("prop")}
