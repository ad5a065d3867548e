"""Makes plates in the layouts of the instruments that export them, with index files written by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import tifffile
from numpy.typing import NDArray

from makers.truth import Truth, written_below

Planes = NDArray[np.uint16]

#: Micrometers of a pixel, and between two planes.
PIXEL, STEP = 0.65, 2.5

UUID = "4996E914-A4B6-49AF-8081-5B58A8653201"


@dataclass(frozen=True)
class PlateRecipe:
    """What a plate has.

    Attributes
    ----------
    rows, columns
        Size of the plate.
    wells
        Those with images, as (row, column) from 1.
    fields, times, planes
        How many of each.
    channels
        Their names.
    shape
        Rows and columns of an image.
    """

    rows: int = 8
    columns: int = 12
    wells: Sequence[tuple[int, int]] = ((1, 1), (2, 3), (8, 12))
    fields: int = 2
    times: int = 2
    planes: int = 3
    channels: Sequence[str] = ("DAPI", "GFP")
    shape: tuple[int, int] = (12, 16)

    def places(self) -> Iterator[tuple[int, int, int, int, int, int]]:
        """Row, column, field, t, c, z of every plane, from 1."""
        counts = (self.fields, self.times, len(self.channels), self.planes)
        for row, column in self.wells:
            for at in np.ndindex(counts):
                yield (row, column, *(int(n) + 1 for n in at))


@dataclass(frozen=True)
class PlateTruth(Truth):
    """What went into a plate.

    Attributes
    ----------
    fields
        Pixels (t, c, z, y, x) by well and position of the field in it.
    corners
        Position (y, x) of each field in micrometers, y downwards.
    """

    fields: dict[tuple[str, int], Planes] = field(default_factory=dict)
    corners: dict[int, tuple[float, float]] = field(default_factory=dict)


def letters(row: int) -> str:
    """The name of a row."""
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[row - 1]


def corner(number: int, recipe: PlateRecipe) -> tuple[float, float]:
    """Position of a field (from 1): in a row, overlapping by two pixels, each a pixel lower."""
    width = recipe.shape[1]
    return ((number - 1) * PIXEL, (number - 1) * (width - 2) * PIXEL)


def make_plate(folder: str | Path, instrument: str = "harmony", **wanted: object) -> PlateTruth:
    """A plate as `instrument` exports it (a key of `WRITERS`); ``wanted`` as of `PlateRecipe`."""
    recipe = PlateRecipe(**wanted)  # type: ignore[arg-type]
    root = Path(folder) / "plate"
    root.mkdir(parents=True)
    rng = np.random.default_rng(7)
    size = (recipe.times, len(recipe.channels), recipe.planes, *recipe.shape)
    fields = {
        (f"{letters(row)}{column}", number): rng.integers(0, 60000, size).astype(np.uint16)
        for row, column in recipe.wells
        for number in range(recipe.fields)
    }

    def plane(row: int, column: int, number: int, t: int, c: int, z: int) -> Planes:
        found: Planes = fields[f"{letters(row)}{column}", number - 1][t - 1, c - 1, z - 1]
        return found

    WRITERS[instrument](root, recipe, plane)
    corners = {n: corner(n + 1, recipe) for n in range(recipe.fields)}
    return PlateTruth(root, written_below(root), fields, corners)


Plane = Callable[[int, int, int, int, int, int], Planes]


def _put(file: Path, plane: Planes, description: str | None = None) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    software = "MetaSeries" if description else None
    tifffile.imwrite(
        file, plane, photometric="minisblack", metadata=None, description=description, software=software
    )  # fmt: skip


def _harmony(root: Path, recipe: PlateRecipe, plane: Plane, *, maps: bool = False) -> None:
    """`Images/Index.idx.xml` of Harmony 5; of Harmony 7, what channels have in common is in a map."""
    images, entries = [], []
    emission = {"DAPI": 456, "GFP": 522}
    for number, name in enumerate(recipe.channels, 1):
        entries.append(
            f"<ChannelName>{name}</ChannelName>"
            f'<ImageResolutionX Unit="m">{PIXEL * 1e-6!r}</ImageResolutionX>'
            f'<ImageResolutionY Unit="m">{PIXEL * 1e-6!r}</ImageResolutionY>'
            f'<MainEmissionWavelength Unit="nm">{emission.get(name, 600)}</MainEmissionWavelength>'
            f'<ExposureTime Unit="s">0.0{number}</ExposureTime>'
        )
    for row, column, f, t, c, z in recipe.places():
        name = f"r{row:02}c{column:02}f{f:02}p{z:02}-ch{c}sk{t}fk1fl1.tiff"
        y, x = corner(f, recipe)
        images.append(
            f'<Image Version="1"><id>{row:02}{column:02}K{t}F{f}P{z}R{c}</id><State>Ok</State>'
            f"<URL>{name}</URL><Row>{row}</Row><Col>{column}</Col><FieldID>{f}</FieldID>"
            f"<PlaneID>{z}</PlaneID><TimepointID>{t - 1}</TimepointID><ChannelID>{c}</ChannelID>"
            f'{"" if maps else entries[c - 1]}<PositionX Unit="m">{x * 1e-6!r}</PositionX>'
            f'<PositionY Unit="m">{-y * 1e-6!r}</PositionY>'
            f'<PositionZ Unit="m">{(z - 1) * STEP * 1e-6!r}</PositionZ>'
            f'<AbsPositionZ Unit="m">0.135</AbsPositionZ>'
            f'<MeasurementTimeOffset Unit="s">{(t - 1) * 1800}</MeasurementTimeOffset></Image>'
        )
        _put(root / "Images" / name, plane(row, column, f, t, c, z))
    table = "".join(f'<Entry ChannelID="{n}">{e}</Entry>' for n, e in enumerate(entries, 1))
    (root / "Images" / "Index.idx.xml").write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n<EvaluationInputData '
        f'xmlns="http://www.perkinelmer.com/PEHH/HarmonyV{7 if maps else 5}" Version="1">'
        "<Plates><Plate><PlateID>P7</PlateID><MeasurementID>m-1</MeasurementID><Name>P7</Name>"
        f"<PlateRows>{recipe.rows}</PlateRows><PlateColumns>{recipe.columns}</PlateColumns></Plate>"
        f"</Plates>{f'<Maps><Map>{table}</Map></Maps>' if maps else ''}"
        f"<Images>{''.join(images)}</Images></EvaluationInputData>",
        encoding="utf-8",
    )


_BTS = 'xmlns:bts="http://www.yokogawa.co.jp/BTS/BTSSchema/1.0" bts:Version="1.0"'


def _cellvoyager(root: Path, recipe: PlateRecipe, plane: Plane) -> None:
    records = []
    for row, column, f, t, c, z in recipe.places():
        name = f"P7_{letters(row)}{column:02}_T{t:04}F{f:03}L01A01Z{z:02}C{c:02}.tif"
        y, x = corner(f, recipe)
        records.append(
            f'<bts:MeasurementRecord bts:Time="2021-06-14T09:{t - 1:02}:00.5+01:00" '
            f'bts:Column="{column}" bts:Row="{row}" bts:FieldIndex="{f}" bts:TimePoint="{t}" '
            f'bts:X="{x!r}" bts:Y="{-y!r}" bts:Type="IMG" bts:ZIndex="{z}" bts:Z="{(z - 1) * STEP}" '
            f'bts:ActionIndex="1" bts:Action="3D" bts:Ch="{c}">{name}</bts:MeasurementRecord>'
        )
        _put(root / name, plane(row, column, f, t, c, z))
    head = '<?xml version="1.0" encoding="utf-8"?>\n'
    (root / "MeasurementData.mlf").write_text(
        f"{head}<bts:MeasurementData {_BTS}>{''.join(records)}</bts:MeasurementData>"
    )
    sizes = "".join(
        f'<bts:MeasurementChannel bts:Ch="{n}" bts:HorizontalPixelDimension="{PIXEL}" '
        f'bts:VerticalPixelDimension="{PIXEL}" bts:CameraNumber="1" bts:InputBitDepth="16" />'
        for n in range(1, len(recipe.channels) + 1)
    )
    (root / "MeasurementDetail.mrf").write_text(
        f'{head}<bts:MeasurementDetail {_BTS} bts:Title="run 1" bts:MeasurementSettingFileName="s.mes" '
        f'bts:ColumnCount="{recipe.columns}" bts:RowCount="{recipe.rows}">'
        f'<bts:MeasurementSamplePlate bts:Name="P7" />{sizes}</bts:MeasurementDetail>'
    )
    colors = ("#FF0000FF", "#FF00FF00", "#FFFF0000")
    channels = "".join(
        f'<bts:Channel bts:Ch="{n}" bts:Target="{name}" bts:Color="{colors[n - 1]}" '
        f'bts:MinLevel="100" bts:MaxLevel="{n}000" bts:ExposureTime="50" />'
        for n, name in enumerate(recipe.channels, 1)
    )
    (root / "s.mes").write_text(
        f"{head}<bts:MeasurementSetting {_BTS}><bts:ChannelList>{channels}</bts:ChannelList>"
        "</bts:MeasurementSetting>"
    )


def _metaxpress(root: Path, recipe: PlateRecipe, plane: Plane) -> None:
    for row, column, f, t, c, z in recipe.places():
        folder = root / f"TimePoint_{t}" / f"ZStep_{z}"
        name = f"P7_{letters(row)}{column:02}_s{f}_w{c}"
        y, x = corner(f, recipe)
        values = {
            "stage-position-x": x, "stage-position-y": y, "spatial-calibration-x": PIXEL,
            "spatial-calibration-y": PIXEL, "spatial-calibration-units": "um",
            "z-position": 100 + (z - 1) * STEP,
        }  # fmt: skip
        props = "".join(f'<prop id="{k}" type="float" value="{v}"/>' for k, v in values.items())
        text = f"<MetaData>\n<PlaneInfo>{props}</PlaneInfo></MetaData>"
        _put(folder / f"{name}{UUID}.tif", plane(row, column, f, t, c, z), text)
        _put(folder / f"{name}_thumb{UUID}.tif", plane(row, column, f, t, c, z)[::4, ::4])
    used = {*recipe.wells}
    lines = ['"HTSInfoFile", Version 1.0', '"Description", ""', f'"TimePoints", {recipe.times}']
    lines += [
        f'"ZSteps", {recipe.planes}',
        f'"XWells", {recipe.columns}',
        f'"YWells", {recipe.rows}',
    ]
    for row in range(1, recipe.rows + 1):
        flags = ("TRUE" if (row, c + 1) in used else "FALSE" for c in range(recipe.columns))
        lines.append(f'"WellsSelection{row}", {", ".join(flags)}')
    lines += ['"Sites", TRUE', f'"XSites", {recipe.fields}', '"YSites", 1']
    lines.append(f'"SiteSelection1", {", ".join(["TRUE"] * recipe.fields)}')
    lines.append(f'"NWavelengths", {len(recipe.channels)}')
    lines += [f'"WaveName{n}", "{name}"' for n, name in enumerate(recipe.channels, 1)]
    (root / "P7.HTD").write_text("\r\n".join([*lines, '"EndFile"', ""]))


def _incell(root: Path, recipe: PlateRecipe, plane: Plane) -> None:
    images = []
    for row, column, f, t, c, z in recipe.places():
        wave = recipe.channels[c - 1]
        name = f"{letters(row)} - {column:02}(fld {f} wv {wave} - {wave} z {z} tm {t}).tif"
        images.append(
            f'<Image acquisition_time_ms="{(t - 1) * 1000}" filename="{escape(name)}" thumbnail="t">'
            f'<Well label="{letters(row)} - {column}"><Row number="{row}"/><Column number="{column}"/>'
            f'</Well><Identifier field_index="{f - 1}" z_index="{z - 1}" wave_index="{c - 1}" '
            f'time_index="{t - 1}"/><PlatePosition_um x="1" y="2"/>'
            f'<FocusPosition z="{(z - 1) * STEP}"/></Image>'
        )
        _put(root / name, plane(row, column, f, t, c, z))
    points = (corner(f, recipe) for f in range(1, recipe.fields + 1))
    offsets = "".join(f'<offset_point index="1" x="{x!r}" y="{-y!r}"/>' for y, x in points)
    waves = "".join(
        f'<Wavelength index="{n}"><ExcitationFilter name="{name}" wavelength="390"/>'
        f'<EmissionFilter name="{name}" wavelength="{432 + 100 * n}"/></Wavelength>'
        for n, name in enumerate(recipe.channels)
    )
    (root / "P7.xdce").write_text(
        '<?xml version="1.0"?>\n<ImageStack><AutoLeadAcquisitionProtocol><Wavelengths>'
        f'{waves}</Wavelengths><ObjectiveCalibration magnification="20" pixel_width="{PIXEL}" '
        f'pixel_height="{PIXEL}"/><PlateMap><FieldPositions>{offsets}</FieldPositions></PlateMap>'
        f'<Plate name="P7" rows="{recipe.rows}" columns="{recipe.columns}"/>'
        f"</AutoLeadAcquisitionProtocol><Images>{''.join(images)}</Images></ImageStack>"
    )


def _scanr(root: Path, recipe: PlateRecipe, plane: Plane) -> None:
    selected = [f"{letters(row)}{column}" for row, column in recipe.wells]
    for row, column, f, t, c, z in recipe.places():
        number = (row - 1) * recipe.columns + column
        name = f"W{number:05}--P{f:05}--Z{z - 1:05}--T{t - 1:05}--{recipe.channels[c - 1]}.tif"
        _put(root / "data" / f"cells--{name}", plane(row, column, f, t, c, z))
    images = "".join(
        f'<Image ID="W{(r - 1) * recipe.columns + c}P{f}" Name="x"><Pixels><Plane TheC="0" TheT="0" '
        f'TheZ="{z}" PositionX="{corner(f, recipe)[1]!r}" PositionY="{-corner(f, recipe)[0]!r}" '
        f'PositionZ="{z * STEP}"/></Pixels></Image>'
        for r, c in recipe.wells
        for f in range(1, recipe.fields + 1)
        for z in range(recipe.planes)
    )
    (root / "data" / "metadata.ome.xml").write_text(
        f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">{images}</OME>'
    )
    table = "".join(
        f"<U32><Name></Name><Val>{(r - 1) * recipe.columns + c}</Val></U32>"
        f"<String><Name></Name><Val>{well}</Val></String>"
        for (r, c), well in zip(recipe.wells, selected, strict=True)
    )
    (root / "experiment_descriptor.xml").write_text(
        '<?xml version="1.0"?>\n<LVData><Cluster><Name>experiment</Name>'
        "<String><Name>plate name</Name><Val>P7</Val></String>"
        f"<DBL><Name>conversion factor um/pixel</Name><Val>{PIXEL}</Val></DBL>"
        f"<Array><Name>well selection table + cDNA</Name>{table}</Array>"
        f"<Cluster><Name>format typedef</Name><U32><Name>Rows</Name><Val>{recipe.rows}</Val></U32>"
        f"<U32><Name>Columns</Name><Val>{recipe.columns}</Val></U32></Cluster>"
        "</Cluster></LVData>"
    )


def _names(root: Path, recipe: PlateRecipe, plane: Plane) -> None:
    for row, column, f, t, c, z in recipe.places():
        name = f"{letters(row)}{column:02}_s{f}_w{c}_z{z}_t{t}.tif"
        _put(root / name, plane(row, column, f, t, c, z))


WRITERS: dict[str, Callable[[Path, PlateRecipe, Plane], None]] = {
    "harmony": _harmony,
    "harmony-maps": lambda root, recipe, plane: _harmony(root, recipe, plane, maps=True),
    "cellvoyager": _cellvoyager,
    "metaxpress": _metaxpress,
    "incell": _incell,
    "scanr": _scanr,
    "names": _names,
}
