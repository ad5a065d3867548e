"""From a dataset to a store: pyramid, chunks, codecs, plan, units, runners."""

from ngff_bio.engine.cluster import DaskRunner
from ngff_bio.engine.codecs import Codec, parse_codec
from ngff_bio.engine.plan import Plan, plan_dataset
from ngff_bio.engine.processes import ProcessRunner
from ngff_bio.engine.report import Report
from ngff_bio.engine.runners import Runner, ThreadRunner
from ngff_bio.engine.settings import Settings
from ngff_bio.engine.state import Progress, progress_of
from ngff_bio.engine.units import OnError
from ngff_bio.engine.write import write_dataset

__all__ = [
    "Codec",
    "DaskRunner",
    "OnError",
    "Plan",
    "ProcessRunner",
    "Progress",
    "Report",
    "Runner",
    "Settings",
    "ThreadRunner",
    "parse_codec",
    "plan_dataset",
    "progress_of",
    "write_dataset",
]
