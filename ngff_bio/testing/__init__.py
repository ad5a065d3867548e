"""For authors of sources, and for trying things out.

`check_source` runs the contract that every source must keep. `demo_data.make_sample` draws a small
sample of each known dataset.
"""

from ngff_bio.testing.contract import SourceContractError, check_source

__all__ = ["SourceContractError", "check_source"]
