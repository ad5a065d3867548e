"""From a store back to the formats that people annotate, train and publish with."""

from ngff_bio.export.registry import Exporter, exporters
from ngff_bio.export.report import Report
from ngff_bio.export.run import export

__all__ = ["Exporter", "Report", "export", "exporters"]
