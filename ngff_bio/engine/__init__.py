"""From a dataset to a store: pyramid, chunks, codecs, plan, units, runners.

Names are imported when they are first used: a small conversion takes less time than all imports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ngff_bio.lazy import lazy

if TYPE_CHECKING:
    from ngff_bio.engine.plan.plan import Plan as Plan
    from ngff_bio.engine.plan.planning import plan_dataset as plan_dataset
    from ngff_bio.engine.plan.settings import Settings as Settings
    from ngff_bio.engine.resume.state import Progress as Progress
    from ngff_bio.engine.resume.state import progress_of as progress_of
    from ngff_bio.engine.run.cluster import DaskRunner as DaskRunner
    from ngff_bio.engine.run.conversion import write_dataset as write_dataset
    from ngff_bio.engine.run.processes import ProcessRunner as ProcessRunner
    from ngff_bio.engine.run.report import ConversionReport as ConversionReport
    from ngff_bio.engine.run.runners import Runner as Runner
    from ngff_bio.engine.run.runners import ThreadRunner as ThreadRunner
    from ngff_bio.model import OnError as OnError
    from ngff_bio.zarrio.codecs import Codec as Codec
    from ngff_bio.zarrio.codecs import parse_codec as parse_codec

_HOMES = {
    "Codec": "ngff_bio.zarrio.codecs",
    "DaskRunner": "ngff_bio.engine.run.cluster",
    "OnError": "ngff_bio.model",
    "Plan": "ngff_bio.engine.plan.plan",
    "ProcessRunner": "ngff_bio.engine.run.processes",
    "Progress": "ngff_bio.engine.resume.state",
    "ConversionReport": "ngff_bio.engine.run.report",
    "Runner": "ngff_bio.engine.run.runners",
    "Settings": "ngff_bio.engine.plan.settings",
    "ThreadRunner": "ngff_bio.engine.run.runners",
    "parse_codec": "ngff_bio.zarrio.codecs",
    "plan_dataset": "ngff_bio.engine.plan.planning",
    "progress_of": "ngff_bio.engine.resume.state",
    "write_dataset": "ngff_bio.engine.run.conversion",
}

__all__ = [*_HOMES]
__getattr__, __dir__ = lazy(__name__, _HOMES)
