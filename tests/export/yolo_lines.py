"""Reading the lines that the YOLO exporter writes."""

from __future__ import annotations


def read_line(line: str, size: tuple[int, int]) -> tuple[int, list[float]]:
    """Class number and values of a line, x and y in pixels again (a box: center and size)."""
    height, width = size
    first, *rest = line.split()
    return int(first), [float(v) * (height if i % 2 else width) for i, v in enumerate(rest)]
