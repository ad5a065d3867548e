"""A signal during a conversion: it stops, prints how to resume, and leaves no temporary file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

import ngff_bio

PROGRAM = "import sys; from ngff_bio.cli import main; sys.argv[0] = 'ngff-bio'; main()"
SLOW = ("--codec", "blosc-zlib-9-noshuffle", "--chunk", "64,64")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Enough of them for some seconds of work at the dearest codec."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "image_folder"
    folder.mkdir()
    for number in range(40):
        pixels = rng.integers(0, 16, (1200, 1200), np.uint8) * 16
        tifffile.imwrite(folder / f"cell {number} of many.tif", pixels)
    with tarfile.open(tmp_path / "images.tar.gz", "w:gz", compresslevel=1) as tar:
        tar.add(folder, "images")
    (tmp_path / "temporary").mkdir()
    return tmp_path / "images.tar.gz"


def started(tmp_path: Path, *arguments: object) -> subprocess.Popen[str]:
    def heed() -> None:  # what runs the tests may have told its children to ignore it
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "TMPDIR": str(tmp_path / "temporary"),
            "COLUMNS": "200",
            "TERM": "dumb",
            "NO_COLOR": "1",
        },
        preexec_fn=heed,
    )


@pytest.mark.parametrize(
    ("runner", "number"), [("threads", signal.SIGTERM), ("processes", signal.SIGINT)]
)
def test_a_signal_stops_and_prints_how_to_resume(
    archive: Path, tmp_path: Path, runner: str, number: int
) -> None:
    store = tmp_path / "out.zarr"
    command: list[Any] = ["convert", archive, store, "--quiet", "--runner", runner, *SLOW]
    process = started(tmp_path, *command)
    until = time.monotonic() + 60
    while not list((store / ".ngff_bio" / "units").glob("*")) and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(number)
    _, output = process.communicate(timeout=30)
    assert process.returncode == 130, output
    assert list((tmp_path / "temporary").iterdir()) == []
    assert "units of work are done" in output
    assert "run the same command again" in output
    assert "Traceback" not in output
    assert not (store / "zarr.json").exists()
    again = started(tmp_path, *command)
    assert again.communicate(timeout=120)[1] == ""
    assert again.returncode == 0
    assert len(ngff_bio.open(store).images) == 40


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        ("SystemExit(1) from KeyboardInterrupt()", 130),
        ("OSError(28,'full')", 2),
        ("MemoryError()", 2),
        ("ValueError()", 1),
    ],
)
def test_the_exit_code_of_an_error_is_the_same_with_debug(raised: str, code: int) -> None:
    program = (
        "import sys, ngff_bio.cli.app as commands; from ngff_bio.cli import main\n"
        f"def stop(**_): raise {raised}\n"
        "commands.app = stop; sys.argv = ['ngff-bio', *sys.argv[1:]]; main()"
    )
    command = [sys.executable, "-c", program]
    plain = subprocess.run(command, capture_output=True, text=True)
    debug = subprocess.run([*command, "--debug"], capture_output=True, text=True)
    assert (plain.returncode, debug.returncode) == (code, code), debug.stderr
    assert raised.rpartition(" ")[2].partition("(")[0] in debug.stderr
    assert "Traceback" not in plain.stderr
