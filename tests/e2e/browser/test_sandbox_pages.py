"""The sandbox's own pages in a browser: its pictures are shown, its film and its sound play."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Service, draw
from tests.sandbox.caller import KEY, Caller, signature

pytestmark = pytest.mark.timeout(120)

#: Plays a film or a sound to its end; returns its length and where it has stopped, in seconds.
PLAY_TO_THE_END = """async media => {
    media.muted = true;
    const ended = new Promise((resolve, reject) => {
        media.onended = resolve;
        media.onerror = reject;
    });
    await media.play();
    await ended;
    return [media.duration, media.currentTime];
}"""

#: The bytes of the frame that a film shows at a time.
FRAME_AT = """async (film, at) => {
    film.pause();
    await new Promise(resolve => { film.onseeked = resolve; film.currentTime = at; });
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [film.videoWidth, film.videoHeight];
    canvas.getContext("2d").drawImage(film, 0, 0);
    return canvas.toDataURL();
}"""


def test_every_card_of_the_gallery_shows_a_picture(remote: Service, page: Page) -> None:
    page.goto(remote.url)
    pictures = page.locator(".card img")
    expect(pictures).to_have_count(8)
    for number in range(8):
        picture = pictures.nth(number)
        picture.scroll_into_view_if_needed()
        assert (
            picture.evaluate("async image => { await image.decode(); return image.naturalWidth }")
            > 0
        )
    expect(page.locator(".card .icon")).to_have_count(0)


@pytest.mark.parametrize(("doc_id", "tag"), [("5417", "audio"), ("5418", "video")])
def test_the_film_and_the_sound_play_to_their_end(
    remote: Service, page: Page, doc_id: str, tag: str
) -> None:
    page.goto(f"{remote.url}/doc/superman/{doc_id}")
    seconds, played = page.locator(f"figure {tag}").evaluate(PLAY_TO_THE_END)
    assert (seconds, played) == (pytest.approx(2.0, abs=0.1), seconds)


def test_the_film_shows_moving_pictures(remote: Service, page: Page) -> None:
    page.goto(f"{remote.url}/doc/superman/5418")
    film = page.locator("figure video")
    assert film.evaluate("film => film.play().then(() => [film.videoWidth, film.videoHeight])") == [
        480,
        320,
    ]
    seen = [film.evaluate(FRAME_AT, at) for at in (0.1, 1.0, 1.9)]
    assert len(set(seen)) == 3


def test_the_page_of_the_pdf_shows_its_first_page(remote: Service, page: Page) -> None:
    page.goto(f"{remote.url}/doc/superman/5416")
    preview = page.locator("figure img")
    width, height = preview.evaluate(
        "async image => { await image.decode(); return [image.naturalWidth, image.naturalHeight] }"
    )
    assert 500 < width < height
    original = page.get_by_role("link", name="Original file").get_attribute("href")
    assert page.request.get(f"{remote.url}{original}").body().startswith(b"%PDF")


PHONE = {"width": 360, "height": 640}
SCROLLS_SIDEWAYS = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


def test_the_page_of_consent_fits_a_phone(remote: Service, page: Page) -> None:
    frob = Caller(remote.url).get("auth.getFrob", token=None)["auth"]["frob"]
    link = {"api_key": KEY, "frob": frob, "perm_doc": "write"}
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    page.goto(f"{remote.url}/apps/authorize?{urlencode({**link, 'api_sig': signature(link)})}")
    assert not page.evaluate(SCROLLS_SIDEWAYS)
    for name in ("Allow", "Deny"):
        box = page.get_by_role("button", name=name).bounding_box()
        assert box is not None
        assert box["height"] >= 44
        assert box["width"] >= 280
        assert box["y"] + box["height"] < PHONE["height"]
    page.get_by_role("button", name="Allow").click()
    expect(page.locator(".ok")).to_be_visible()


def test_before_and_after_are_side_by_side_on_any_screen(
    remote: Service, page: Page, tmp_path: Path
) -> None:
    content = draw(tmp_path / "gold.jpg", "gold").read_bytes()
    service = Caller(remote.url)
    service.wait(service.replace(content))
    for size in (PHONE, {"width": 1200, "height": 900}):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        page.goto(f"{remote.url}/doc/superman/5412")
        assert not page.evaluate(SCROLLS_SIDEWAYS)
        before = page.locator(".before img").bounding_box()
        after = page.locator(".after img").bounding_box()
        assert before is not None
        assert after is not None
        assert before["y"] == after["y"]
        assert before["x"] + before["width"] <= after["x"]
