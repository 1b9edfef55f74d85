"""A real browser: Chromium without a window, driven by Playwright. It reaches only this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect, sync_playwright

from tests.e2e.browser.view import filled, forged, view

__all__ = ["filled", "forged", "view"]

#: The first has no windows at all, and takes half of the time.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",  # which root cannot have
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
SIZE = ViewportSize(width=1280, height=860)
MILLISECONDS = 30_000.0

expect.set_options(timeout=MILLISECONDS)


@pytest.fixture(scope="session", autouse=True)
def chromium() -> str:
    """Before all else, for without it no Airflow need be started."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        missing = (
            f"no browser in PATH ({', '.join(NAMES)}): apt-get install {NAMES[0]} fonts-dejavu-core"
        )
        if os.environ.get("IPERNITY_BROWSER_TESTS") == "required":
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    return found


# Not for the whole session: while Playwright runs, no other test of this process can run an event
# loop.
@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """A page of a browser that knows nothing yet; its last sight is kept for a failure."""
    with browser.new_context(
        viewport=SIZE, locale="en-US", timezone_id="UTC", reduced_motion="reduce"
    ) as context:
        page = context.new_page()
        page.set_default_timeout(MILLISECONDS)
        yield page
        page.screenshot(path=tmp_path / "last-sight.png")


Snap = Callable[..., None]


@pytest.fixture
def snap(tmp_path: Path) -> Snap:
    """Takes the documentation's pictures, into IPERNITY_SCREENSHOTS or a temporary folder."""
    folder = Path(os.environ.get("IPERNITY_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)

    def take(
        page: Page,
        name: str,
        *,
        width: int = SIZE["width"],
        height: int = SIZE["height"],
        part: Locator | None = None,
    ) -> None:
        page.set_viewport_size({"width": width, "height": height})
        page.mouse.move(0, 0)
        expect(page.get_by_role("tooltip")).to_have_count(0)
        taken = Image.open(BytesIO((part or page).screenshot(animations="disabled"))).convert("RGB")
        page.set_viewport_size(SIZE)
        # 256 colours that look the same take a third of the space.
        few = taken.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)
        few.save(folder / f"{name}.png", optimize=True)

    return take
