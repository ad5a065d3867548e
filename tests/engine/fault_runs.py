"""Convert, resume and read through a faulty network; compare with an undisturbed conversion.

    python tests/engine/fault_runs.py --trials 200      # of each action

A trial must end with an equal result, or with one error of this package, after which the same command
succeeds. Wrong pixels, another exception, and a store that opens before it is complete are failures.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import tifffile
from bucket_server import BucketServer, find_weed, start
from fault_proxy import FAULTS, FaultPlan, faulty
from references import contents
from scenes import collection, plate, volume

import ngff_bio
from ngff_bio.engine import Settings, ThreadRunner, write_dataset
from ngff_bio.errors import ArgumentError, IncompleteStoreError, NgffBioError, StoreNotFoundError
from ngff_bio.model import SourceDataset
from ngff_bio.storage import BucketStorage, MemoryStorage

SETTINGS = Settings(chunk=(32, 48), shard_bytes=1 << 15, method="gaussian")
DATASETS: dict[str, Callable[[], SourceDataset]] = {
    "plate": lambda: plate(frames=3, fields=2),
    "volume": lambda: volume(shape=(4, 100, 150)),
    "collection": collection,
}

#: Attempts through the faulty network, before one without faults.
ATTEMPTS = 3

#: Little patience, so that some faults are repeated away and others are errors.
RETRY = {"max_retries": 2}


class Wrong(Exception):
    """An outcome that must not be."""


@dataclass
class Trials:
    """A bucket, and what undisturbed conversions into it contain."""

    server: BucketServer
    faults: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    expected: dict[str, dict[str, str]] = field(default_factory=dict)
    arrays: dict[str, dict[str, Any]] = field(default_factory=dict)

    def prepare(self, name: str) -> None:
        """Convert a dataset without faults, to memory and to the bucket."""
        if name in self.expected:
            return
        memory = MemoryStorage()
        write_dataset(DATASETS[name](), memory, SETTINGS)
        self.arrays[name] = read_all(memory)
        write_dataset(DATASETS[name](), self.server.storage(f"whole-{name}"), SETTINGS)
        self.expected[name] = contents(memory)

    @contextmanager
    def network(self, path: str, seed: int, rate: float) -> Iterator[BucketStorage]:
        """A place in the bucket, behind the faulty network."""
        plan = FaultPlan(seed, rate)
        with faulty(self.server.endpoint, plan) as endpoint:
            yield self.server.storage(path, endpoint=endpoint, **RETRY)
        self.faults += plan.done

    def run(self, action: str, seed: int) -> str:
        """One trial; returns how it ended.

        Raises
        ------
        Wrong
            If it is not what it must be.
        """
        rng = random.Random(f"{action} {seed}")
        name = rng.choice(sorted(DATASETS))
        if action != "source":
            self.prepare(name)
        given = name, seed, rng.choice([0.01, 0.05, 0.1, 0.2, 0.3])
        outcome = {
            "convert": self.convert,
            "resume": self.resume,
            "read": self.read,
            "source": self.source,
            "copy": self.copy,
        }[action](*given)
        self.outcomes[f"{action}: {outcome}"] += 1
        return outcome

    def convert(self, name: str, seed: int, rate: float, *, begun: bool = False) -> str:
        """Convert until it succeeds, at last without faults."""
        path = f"{'resume' if begun else 'convert'}-{seed}"
        direct = self.server.storage(path)
        if begun:
            self._begin(name, direct, seed)
        with self.network(path, seed, rate) as storage:
            errors = 0
            while errors < ATTEMPTS and attempted(lambda: convert(name, storage)) is not None:
                self._check_closed(direct, name)
                errors += 1
        if errors == ATTEMPTS and (error := attempted(lambda: convert(name, direct))) is not None:
            raise Wrong(f"without faults the same command fails: {error}") from error
        self._check_equal(direct, name)
        direct.delete_all()
        return f"error, then equal ({errors} errors)" if errors else "equal at once"

    def resume(self, name: str, seed: int, rate: float) -> str:
        """Go on with a conversion that was stopped half way."""
        return self.convert(name, seed, rate, begun=True)

    def read(self, name: str, seed: int, rate: float) -> str:
        """Read all pixels and tables, and verify."""
        found: dict[str, Any] = {}
        with self.network(f"whole-{name}", seed, rate) as storage:
            error = attempted(lambda: found.update(read_all(storage)))
            for key, array in found.items():
                if not np.array_equal(array, self.arrays[name][key]):
                    raise Wrong(f"other values are read of {key}")
            if error is None and found.keys() != self.arrays[name].keys():
                raise Wrong("arrays are missing, without an error")
            attempted(lambda: ngff_bio.verify(storage, pixels=True))
            attempted(lambda: list(ngff_bio.validate(storage)))
        return "equal" if error is None else "error"

    def source(self, _: str, seed: int, rate: float) -> str:
        """Convert files in the bucket, or on a web server."""
        with source_files(self.server) as (files, web):
            origin = web if seed % 2 else self.server.endpoint
            plan = FaultPlan(seed, rate, tuple(k for k in FAULTS if k not in ("flip", "stale")))
            found = MemoryStorage()
            with faulty(origin, plan) as endpoint:
                options = {**self.server.options, "endpoint": endpoint}
                given = {} if seed % 2 else {"source_options": options}
                place = f"{endpoint}/files/" if seed % 2 else "s3://bench/files"
                error = attempted(lambda: ngff_bio.convert(place, found, **given))
            self.faults += plan.done
            if "source" not in self.expected:
                memory = MemoryStorage()
                ngff_bio.convert(files, memory)
                self.expected["source"] = contents(memory)
        if error is None and contents(found).keys() != self.expected["source"].keys():
            raise Wrong("files were left out")
        for key, crc in contents(found).items() if error is None else ():
            if "/c/" in key and crc != self.expected["source"][key]:
                raise Wrong(f"other pixels in {key}")
        return "equal" if error is None else "error"

    def copy(self, name: str, seed: int, rate: float) -> str:
        """Copy a store within the bucket until it succeeds, at last without faults."""
        direct, errors = self.server.storage(f"copy-{seed}"), 0
        with (
            self.network(f"copy-{seed}", seed, rate) as target,
            self.network(f"whole-{name}", seed, rate) as source,
        ):
            while (
                errors < ATTEMPTS and attempted(lambda: ngff_bio.copy(source, target)) is not None
            ):
                self._check_closed(direct, name)
                errors += 1
        if errors == ATTEMPTS:
            whole = self.server.storage(f"whole-{name}")
            if (error := attempted(lambda: ngff_bio.copy(whole, direct))) is not None:
                raise Wrong(f"without faults the same command fails: {error}") from error
        self._check_equal(direct, name)
        direct.delete_all()
        return f"error, then equal ({errors} errors)" if errors else "equal at once"

    def _begin(self, name: str, storage: BucketStorage, seed: int) -> None:
        left = random.Random(seed).randint(1, 6)

        def stop(done: int, total: int) -> None:
            nonlocal left
            left -= 1
            if not left:
                raise KeyboardInterrupt

        try:
            convert(name, storage, progress=stop)
        except NgffBioError:
            return

    def _check_closed(self, storage: BucketStorage, name: str) -> None:
        """After an error: the store does not open, or is complete."""
        try:
            ngff_bio.open(storage)
        except (IncompleteStoreError, StoreNotFoundError):
            return
        found = {k: v for k, v in contents(storage).items() if not k.startswith(".ngff_bio/")}
        if found != self.expected[name]:
            raise Wrong("after an error, a store opens that is not complete")

    def _check_equal(self, storage: BucketStorage, name: str) -> None:
        found, expected = contents(storage), self.expected[name]
        if found != expected:
            keys = sorted(k for k in {*found, *expected} if found.get(k) != expected.get(k))
            raise Wrong(f"the store differs in {keys[:5]}")


def convert(name: str, storage: BucketStorage, **options: Any) -> None:
    """The command that is repeated."""
    write_dataset(DATASETS[name](), storage, SETTINGS, runner=ThreadRunner(2), **options)


class _Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None: ...


@contextmanager
def source_files(server: BucketServer) -> Iterator[tuple[Path, str]]:
    """Image files in folders, which a web server lists; the same in the bucket."""
    with tempfile.TemporaryDirectory() as home:
        files = Path(home, "files")
        for number, name in enumerate(("a/one.tif", "a/two.tif", "b/deep/three.tif")):
            pixels = np.random.default_rng(number).integers(0, 255, (80, 90), np.uint8)
            (files / name).parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(files / name, pixels, photometric="minisblack", rowsperstrip=16)
            server.storage("files").put(name, (files / name).read_bytes())
        web = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=home))
        threading.Thread(target=web.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield files, f"http://127.0.0.1:{web.server_port}"
        finally:
            web.shutdown()
            web.server_close()


def attempted(action: Callable[[], Any]) -> NgffBioError | None:
    """Run it; returns the error of this package that it ended with."""
    try:
        action()
    except ArgumentError:  # of the trial itself
        raise
    except NgffBioError as error:
        return error
    return None


def read_all(storage: Any) -> dict[str, Any]:
    """Pixels of every level, label images, and tables."""
    found: dict[str, Any] = {}
    store = ngff_bio.open(storage)
    for path, image in store.items():
        for number in range(len(image.pixels)):
            for layer, array in image.level(number).data_vars.items():
                found[f"{path} {number} {layer}"] = np.asarray(array.data)
    found["rows"] = store.annotations().to_numpy().astype(str)
    return found


def main() -> None:
    """Many trials of every action."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="of the first trial")
    parser.add_argument("--actions", default="convert,resume,read,source,copy")
    given = parser.parse_args()
    weed = find_weed()
    if weed is None:
        sys.exit("the object store of the tests is not installed: no `weed` beside Python")
    home = Path(tempfile.mkdtemp())
    process, endpoint = start(weed, home)
    trials, failed = Trials(BucketServer(endpoint)), 0
    try:
        for action in given.actions.split(","):
            began = time.monotonic()
            for seed in range(given.seed, given.seed + given.trials):
                try:
                    trials.run(action, seed)
                except Exception:
                    failed += 1
                    print(f"FAILED: --actions {action} --seed {seed} --trials 1", flush=True)
                    traceback.print_exc()
            took = time.monotonic() - began
            print(f"{action}: {given.trials} tried, {took:.0f} s", flush=True)
    finally:
        process.kill()
        shutil.rmtree(home, ignore_errors=True)
    print(f"faults: {dict(trials.faults)} of {', '.join(FAULTS)}")
    for outcome, count in sorted(trials.outcomes.items()):
        print(f"  {count:5} {outcome}")
    if not trials.faults:
        sys.exit("nothing was tried: no request failed")
    print(f"{failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
