"""From a dataset to a store: pyramid, chunks, codecs, plan, units, runners."""

from ngff_bio.engine.codecs import Codec, parse_codec
from ngff_bio.engine.plan import Plan, plan_dataset
from ngff_bio.engine.report import Report
from ngff_bio.engine.runners import Runner, ThreadRunner
from ngff_bio.engine.settings import Settings
from ngff_bio.engine.write import write_dataset

__all__ = [
    "Codec",
    "Plan",
    "Report",
    "Runner",
    "Settings",
    "ThreadRunner",
    "parse_codec",
    "plan_dataset",
    "write_dataset",
]
