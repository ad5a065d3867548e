"""What surrounds a command: streams that are closed or full, a current folder that is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PROGRAM = "import sys; from ngff_bio.cli import main; sys.argv[0] = 'ngff-bio'; main()"


def shell(place: Path, command: str) -> subprocess.CompletedProcess[str]:
    """A line of a shell, in which ``$RUN`` is the command line."""
    run = f"'{sys.executable}' -c \"{PROGRAM}\""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    return subprocess.run(
        ["sh", "-c", command.replace("$RUN", run)],
        cwd=place, env=environment, capture_output=True, text=True,
    )  # fmt: skip


def test_a_command_without_any_stream_ends_well(tmp_path: Path) -> None:
    """It ended with a traceback after the conversion, and files could get the numbers of streams."""
    Image.fromarray(np.ones((9, 11), np.uint8)).save(tmp_path / "a.png")
    done = shell(tmp_path, "$RUN convert . ../out.zarr <&- >&- 2>&-")
    assert done.returncode == 0
    assert (tmp_path.parent / "out.zarr" / "zarr.json").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_an_output_that_is_full_is_one_error(tmp_path: Path) -> None:
    done = shell(tmp_path, "$RUN --version > /dev/full")
    assert done.returncode == 2
    assert "the output cannot be written: No space left" in done.stderr
    assert "\n  hint: " in done.stderr
    assert "internal error" not in done.stderr


def test_a_current_folder_that_was_removed_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    done = shell(tmp_path / "gone", "rmdir ../gone; $RUN convert a b.zarr")
    assert done.returncode == 2
    assert "the current folder does not exist any more" in done.stderr
