"""The documentation on a phone and on a wide screen: nothing is clipped, nothing is too wide."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Error, Page

from scripts.rig import ROOT

PAGES = sorted(path.stem for path in (ROOT / "docs").glob("*.md"))
PHONE, DESK = 390, 1400

# What cannot be read without scrolling sideways, or at all.
TOO_WIDE = """() => {
    const width = document.documentElement.clientWidth
    const found = []
    if (document.documentElement.scrollWidth > width)
        found.push(`the page is ${document.documentElement.scrollWidth} wide`)
    for (const part of document.querySelectorAll(".md-content article *")) {
        if (part.closest("svg, .headerlink, .md-clipboard, .md-code__nav")) continue
        if (!part.offsetWidth) continue
        const box = part.getBoundingClientRect()
        const words = part.textContent.trim().slice(0, 60)
        if (box.right > width + 1 || box.left < -1)
            found.push(`${part.tagName} from ${box.left} to ${box.right}: ${words}`)
        if (part.scrollWidth > part.clientWidth + 1 && part.clientWidth
                && getComputedStyle(part).overflowX != "visible")
            found.push(`${part.tagName} shows ${part.clientWidth} of ${part.scrollWidth}: ${words}`)
    }
    return found
}"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"NO_COLOR": "1"}, check=True)
    return folder


def stays_too_wide(page: Page) -> list[str]:
    """Return what is too wide once the page rests: its side bars slide to their places."""
    with suppress(Error):
        page.wait_for_function(f"() => !({TOO_WIDE})().length", timeout=5000)
    return list(page.evaluate(TOO_WIDE))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_a_phone_and_a_wide_screen(page: Page, site: Path, name: str) -> None:
    page.goto((site / f"{name}.html").as_uri())
    for width in (PHONE, DESK):
        page.set_viewport_size({"width": width, "height": 860})
        assert stays_too_wide(page) == [], f"{name} at {width} pixels"


def test_what_is_too_wide_would_be_found(page: Page, site: Path) -> None:
    page.goto((site / "index.html").as_uri())
    page.set_viewport_size({"width": PHONE, "height": 860})
    page.evaluate(
        """() => {
            const article = document.querySelector(".md-content article")
            const add = html => article.insertAdjacentHTML("beforeend", html)
            add("<div style='width: 900px'>wide</div>")
            add("<pre style='width: 90px; overflow: hidden'>clipped clipped clipped</pre>")
        }"""
    )
    found = " ".join(stays_too_wide(page))
    assert "wide" in found
    assert "shows 90 of" in found


def test_a_table_names_the_column_of_each_cell_on_a_phone(page: Page, site: Path) -> None:
    page.goto((site / "connection.html").as_uri())
    page.set_viewport_size({"width": PHONE, "height": 860})
    cell = page.locator("article table td + td").first
    head = page.locator("article table th").nth(1).text_content()
    assert cell.get_attribute("data-head") == head
    assert cell.evaluate("cell => getComputedStyle(cell, '::before').display") == "block"


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("code 107", "troubleshooting"),
        ("undo", "faq"),
        ("what is a ticket", "faq"),
        ("why is my task red", "faq"),
    ],
)
def test_the_search_finds_what_is_asked_for_first(
    page: Page, site: Path, words: str, name: str
) -> None:
    page.goto((site / "index.html").as_uri())
    field = page.locator("input.md-search__input")
    field.click()
    field.press_sequentially(words)
    first = page.locator(".md-search-result__item a").first
    assert f"{name}.html" in str(first.get_attribute("href"))
