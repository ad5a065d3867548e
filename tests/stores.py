"""What tests of sources ask of a store, through plain zarr-python and pyarrow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import zarr


def pixels(store: Path, path: str, level: int = 0) -> np.ndarray:
    """All pixels of one level of an image or label image."""
    return np.asarray(
        zarr.open_array(str(store), path=f"{path}/{level}".lstrip("/"), mode="r")[...]
    )


def attributes(store: Path, path: str = "") -> dict[str, Any]:
    """Attributes of a group."""
    return dict(zarr.open_group(str(store), path=path, mode="r").attrs)


def table(store: Path, image: str, layer: str) -> pd.DataFrame:
    """Rows of a layer."""
    place = Path(store, image, "tables", layer, "table.parquet")
    return pq.read_table(place).to_pandas()


def mask_of(store: Path, image: str, row: Any) -> np.ndarray:
    """Pixels of one instance, from the one label image in which it is whole."""
    labels = pixels(store, f"{image}/labels/{row['label_image']}".lstrip("/"))
    return labels == row["label"]
