"""A headless browser with Neuroglancer, for tests that look at its pixels."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import PIL.Image
import pytest

#: Set to anything, tests that find no browser fail instead of being skipped.
REQUIRED = "NGFF_BIO_BROWSER"

SIZE = (700, 500)

_JS = Path(__file__).with_name("js")
_OPTIONS = (
    *("--headless", "--no-sandbox", "--no-first-run", "--window-size=900,700"),
    *("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"),
    *("--disable-quic", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)


class Browser:
    """A browser, and a viewer that it shows."""

    def __init__(self, driver: Any, viewer: Any) -> None:
        self.driver, self.viewer = driver, viewer
        driver.get(viewer.get_viewer_url())

    def screenshot(self, state: dict[str, Any]) -> np.ndarray:
        """Pixels (y, x, rgb) of the view of a state, once all is loaded."""
        self.viewer.set_state({**state, "showDefaultAnnotations": False, "showScaleBar": False})
        shot = self.viewer.screenshot(size=list(SIZE))
        return np.asarray(PIL.Image.open(io.BytesIO(shot.screenshot.image)).convert("RGB"))

    def run(self, call: str, *arguments: Any) -> Any:
        """The result of an asynchronous function of ``js/readers.js``."""
        script = (
            "const done = arguments[arguments.length - 1];"
            f"readers.{call}(...[...arguments].slice(0, -1))"
            ".then(done, (error) => done({ error: String(error) }));"
        )
        return self.driver.execute_async_script(script, *arguments)


def missing(what: str) -> NoReturn:
    """Skip the test, or fail if tests in a browser are required."""
    if os.environ.get(REQUIRED):
        pytest.fail(f"{what}; {REQUIRED} requires the tests in a browser")
    pytest.skip(what)


def start_browser(profile: Path) -> Iterator[Browser]:
    """Start Chromium with a viewer; it ends with the tests."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        missing("chromium and chromedriver are not installed")
    try:
        import neuroglancer
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError as error:
        missing(f"{error.name} is not installed")

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for option in (*_OPTIONS, f"--user-data-dir={profile}"):
        options.add_argument(option)
    running = webdriver.Chrome(options=options, service=Service(driver))
    try:
        running.set_script_timeout(60)
        yield Browser(running, neuroglancer.Viewer())
    finally:
        running.quit()


def bundled_readers() -> str:
    """The script of ``js/readers.js`` with its libraries, built once."""
    built = _JS / "node_modules" / "readers.js"
    sources = [_JS / "readers.js", _JS / "package.json"]
    if not built.exists() or built.stat().st_mtime < max(s.stat().st_mtime for s in sources):
        npm = shutil.which("npm")
        if npm is None:
            missing("npm is not installed")
        install = ["install", "--no-package-lock", "--no-audit", "--no-fund", "--silent"]
        for arguments in (install, ["run", "-s", "build"]):
            done = subprocess.run([npm, *arguments], cwd=_JS, capture_output=True, text=True)
            if done.returncode:
                missing(f"npm {arguments[0]} failed: {done.stderr[-300:]}")
    return built.read_text()
