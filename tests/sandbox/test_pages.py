from __future__ import annotations

import io
import re

import pytest
from PIL import Image

from tests.sandbox.caller import Caller, jpeg, md5_of

NEW = jpeg("gold")
NOTE = "not the real ipernity.com"


def test_the_gallery_shows_the_documents_that_the_owner_may_see(sandbox: Caller) -> None:
    page = sandbox.page("/")
    links = re.findall(r'class="card" href="/doc/(\d+)/(\d+)"', page)
    assert sorted(links) == [
        *(("1234", str(number)) for number in range(5412, 5419)),
        ("5678", "7001"),
    ]
    assert page.count('<span class="icon"') == 0
    for address in re.findall(r'<img src="([^"]+)"', page):
        assert sandbox.http.get(sandbox.root + address).headers["Content-Type"] == "image/jpeg"
    assert NOTE in page


def test_the_gallery_shows_a_replaced_document_first(sandbox: Caller) -> None:
    sandbox.wait(sandbox.replace(NEW))
    page = sandbox.page("/")
    assert re.search(r'class="card" href="/doc/\d+/(\d+)"', page).group(1) == "5412"  # type: ignore[union-attr]
    assert "replaced 20" in page


@pytest.mark.parametrize("user", ["1234", "superman"])
def test_a_document_has_a_page_with_its_figures_and_its_past(sandbox: Caller, user: str) -> None:
    old = sandbox.doc("5412")["md5"]
    sandbox.wait(sandbox.replace(NEW, doc_id="5412"))
    page = sandbox.page(f"/doc/{user}/5412")
    assert f'<code id="md5">{md5_of(NEW)}</code>' in page
    assert f'<span id="bytes">{len(NEW)}</span>' in page
    assert '<dd id="doc_id">5412</dd>' in page
    assert '<dd id="filename">new.jpg</dd>' in page
    assert re.search(r'<dd id="replaced_at">20\d\d-', page)
    assert f"<li><code>{old}</code>" in page
    assert NOTE in page
    picture = re.search(r'<figure>\s*<img src="([^"]+)"', page)
    assert picture is not None
    assert sandbox.http.get(sandbox.root + picture.group(1)).content.startswith(b"\xff\xd8")


def test_the_file_before_is_shown_beside_the_present_one(sandbox: Caller) -> None:
    assert 'aria-label="Before"' not in sandbox.page("/doc/1234/5412")
    old = sandbox.http.get(sandbox.doc("5412")["original"]["url"]).content
    sandbox.wait(sandbox.replace(NEW))
    page = sandbox.page("/doc/1234/5412")
    pair = re.search(
        r'aria-label="Before">\s*<img src="([^"]+)".*?aria-label="After">.*?<img src="([^"]+)"',
        page,
        re.DOTALL,
    )
    assert pair is not None
    before, after = (colour(sandbox, address) for address in pair.groups())
    assert before != after
    assert after == pytest.approx((255, 215, 0), abs=4)
    link = re.search(r'<a href="([^"]+)">boat.jpg</a>', page)
    assert link is not None
    assert sandbox.http.get(sandbox.root + link[1]).content == old


def colour(sandbox: Caller, address: str) -> tuple[int, ...]:
    """The colour of a picture's middle."""
    with Image.open(io.BytesIO(sandbox.http.get(sandbox.root + address).content)) as image:
        pixel = image.getpixel((image.width // 2, image.height // 2))
    assert isinstance(pixel, tuple)
    return tuple(map(int, pixel))


def test_every_earlier_file_is_kept(sandbox: Caller) -> None:
    colours = ("red", "green", "blue", "white")
    for name in colours:
        sandbox.wait(sandbox.replace(jpeg(name), filename=f"{name}.jpg"))
    page = sandbox.page("/doc/1234/5412")
    links = re.findall(r'<a href="([^"]+)">(\w+).jpg</a>', page)
    assert [name for _, name in links] == ["blue", "green", "red", "boat"]
    for address, name in links[:3]:
        assert sandbox.http.get(sandbox.root + address).content == jpeg(name)
    sandbox.reset()
    assert sandbox.http.get(sandbox.root + links[0][0]).status_code == 404


def test_a_sound_has_a_picture_and_a_player(sandbox: Caller) -> None:
    page = sandbox.page("/doc/1234/5417")
    assert 'aria-label="audio"' not in page
    assert '<dd id="replaced_at">never</dd>' in page
    player = re.search(r'<audio [^>]*src="([^"]+)"', page)
    assert player is not None
    sound = sandbox.http.get(sandbox.root + player.group(1))
    assert (sound.headers["Content-Type"], sound.content[8:12]) == ("audio/wav", b"WAVE")


def test_a_film_has_a_player_and_the_thumbnail_of_a_frame(sandbox: Caller) -> None:
    page = sandbox.page("/doc/1234/5418")
    player = re.search(r'<video [^>]*poster="([^"]+)" src="([^"]+)"', page)
    assert player is not None
    poster, film = (sandbox.http.get(sandbox.root + address) for address in player.groups())
    assert (poster.headers["Content-Type"], poster.content[:2]) == ("image/jpeg", b"\xff\xd8")
    assert (film.headers["Content-Type"], film.content[4:8]) == ("video/mp4", b"ftyp")


def test_a_file_that_no_browser_plays_has_a_picture(sandbox: Caller) -> None:
    sandbox.wait(sandbox.replace(b"RIFF\0\0\0\0AVI ", doc_id="5418", filename="film.avi"))
    page = sandbox.page("/doc/1234/5418")
    assert re.search(r'<figure>\s*<img src="', page)
    assert "<video" not in page


def test_an_office_document_has_an_icon(sandbox: Caller) -> None:
    sandbox.wait(sandbox.replace(b"a,b", doc_id="5416", filename="table.csv"))
    page = sandbox.page("/doc/1234/5416")
    assert 'aria-label="other"' in page


@pytest.mark.parametrize("path", ["/cdn/icon/1234.png", "/cdn/icon/5678.png"])
def test_a_user_has_a_picture(sandbox: Caller, path: str) -> None:
    response = sandbox.http.get(sandbox.root + path)
    assert response.headers["Content-Type"] == "image/png"
    assert response.content.startswith(b"\x89PNG")
    assert sandbox.http.get(f"{sandbox.root}/cdn/icon/1.png").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/no/such/page",
        "/doc/1234/404",
        "/doc/5678/5412",
        "/doc/5678/7002",
        "/cdn/200/54/12/5412.guess.jpg",
    ],
)
def test_what_is_not_there_is_a_page_with_404(sandbox: Caller, path: str) -> None:
    response = sandbox.http.get(sandbox.root + path)
    assert response.status_code == 404
    assert NOTE in response.text


def test_texts_on_pages_are_escaped(sandbox: Caller) -> None:
    sandbox.post("doc.set", doc_id="5412", title="<script>alert(1)</script>")
    for path in ("/", "/doc/1234/5412"):
        assert "<script>" not in sandbox.page(path)
        assert "&lt;script&gt;" in sandbox.page(path)


def test_an_uploaded_web_page_is_a_download(sandbox: Caller) -> None:
    ticket = sandbox.send("upload.file", b"<script>alert(1)</script>", "page.html")["ticket"]
    doc = sandbox.doc(sandbox.wait(ticket)["doc_id"])
    response = sandbox.http.get(doc["original"]["url"])
    assert response.headers["Content-Type"] == "application/octet-stream"
    assert response.headers["Content-Disposition"] == "attachment"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_the_style_is_served(sandbox: Caller) -> None:
    response = sandbox.http.get(f"{sandbox.root}/_sandbox/style.css")
    assert response.headers["Content-Type"] == "text/css; charset=utf-8"
    assert "prefers-color-scheme: dark" in response.text
