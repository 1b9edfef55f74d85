"""The pages for people, and the media files that they show."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from aiohttp import web
from jinja2 import Environment, PackageLoader

from ipernity_provider.sandbox.credentials import ACCOUNT, USERS
from ipernity_provider.sandbox.documents import PUBLIC, Document, Version
from ipernity_provider.sandbox.pictures import draw_icon
from ipernity_provider.sandbox.state import SANDBOX
from ipernity_provider.sandbox.web_security import consent_policy

CONTENT_TYPES = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "pdf": "application/pdf",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "mp4": "video/mp4",
    "webm": "video/webm",
}
"""What a browser may show. Anything else is a download: an uploaded web page must not run here."""

PAGE_LABELS = ("800", "640", "560", "500", "240", "100")
"""The sizes for the page of a document, the best one first."""

_TEMPLATES = Environment(
    loader=PackageLoader("ipernity_provider.sandbox"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
_STYLE = files("ipernity_provider.sandbox").joinpath("templates/style.css").read_text("utf-8")


def _time(at: int | None) -> str:
    if at is None:
        return "never"
    return dt.datetime.fromtimestamp(at, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _size(count: int) -> str:
    return f"{count / 1024**2:.1f} MB" if count >= 1024**2 else f"{count / 1024:.1f} KB"


_TEMPLATES.filters.update(time=_time, size=_size)


def _page(template: str, status: int = 200, **values: Any) -> web.Response:
    html = _TEMPLATES.get_template(template).render(**values)
    return web.Response(status=status, text=html, content_type="text/html")


def message_page(
    title: str,
    text: str,
    kind: str = "bad",
    code: str = "",
    status: int = 200,
) -> web.Response:
    """Return a page with one sentence; ``kind`` is its class, ``ok`` after a consent."""
    return _page("message.html", status, title=title, text=text, kind=kind, code=code)


def consent_page(
    rights: Mapping[str, str], query: Mapping[str, str], form_token: str, callback: str | None
) -> web.Response:
    """Return the question whether an application may act for the owner with these rights.

    :param query: the parameters of the link; the form sends them as hidden inputs.
    :param form_token: what proves that the form was sent by this page.
    :param callback: where the answer redirects to.
    """
    requested = {right: level for right, level in rights.items() if level != "none"}
    hidden = {**query, "form_token": form_token}
    page = _page("consent.html", rights=requested, hidden=hidden, user=ACCOUNT)
    page.headers["Content-Security-Policy"] = consent_policy(callback)
    return page


async def gallery(request: web.Request) -> web.StreamResponse:
    """Show all documents that the owner may see, the last changed ones first."""
    documents = [doc for doc in request.app[SANDBOX].documents.values() if _is_visible(doc)]
    documents.sort(key=lambda doc: (doc.owner != ACCOUNT, -doc.modified_at, doc.doc_id))
    cards = [(doc, thumbnail_path(doc, ("560", "500", "240", "100"))) for doc in documents]
    return _page("gallery.html", cards=cards, account=ACCOUNT)


async def document(request: web.Request) -> web.StreamResponse:
    """Show one document with its figures, beside the file before, and all earlier files."""
    found = request.app[SANDBOX].documents.get(request.match_info["doc_id"])
    user = request.match_info["user"]
    if found is None or not _is_visible(found):
        return await not_found(request)
    if user not in (found.owner.user_id, found.owner.alias):
        return await not_found(request)
    original = found.media_path(found.original_name()) if found.owner == ACCOUNT else ""
    player = CONTENT_TYPES.get(found.file.ext, "").partition("/")[0] if original else ""
    earlier = [_earlier(found, version) for version in reversed(found.earlier)]
    return _page(
        "document.html",
        doc=found,
        picture=thumbnail_path(found, PAGE_LABELS),
        original=original,
        player=player,
        earlier=earlier,
    )


def _earlier(document: Document, version: Version) -> dict[str, Any]:
    """Return what the page shows of an earlier file; addresses for its owner only."""
    is_shown = document.owner == ACCOUNT
    name = document.original_name(version)
    picture = thumbnail_path(document, PAGE_LABELS, version) if is_shown else ""
    is_kept = is_shown and version.file.path.exists()
    original = document.media_path(name) if is_kept else ""
    return {
        "file": version.file,
        "until": version.until,
        "picture": picture,
        "original": original,
    }


async def not_found(_: web.Request) -> web.StreamResponse:
    return message_page("Not found", "There is no such page here.", status=404)


async def style(_: web.Request) -> web.StreamResponse:
    return web.Response(text=_STYLE, content_type="text/css")


async def icon(request: web.Request) -> web.StreamResponse:
    """Send a user's picture: a circle in a colour of the user's own."""
    user_id = request.match_info["user_id"]
    if user_id not in {user.user_id for user in USERS}:
        return await not_found(request)
    return web.Response(body=draw_icon(user_id), content_type="image/png")


async def media(request: web.Request) -> web.StreamResponse:
    """Send an original or a thumbnail. A part of its name cannot be guessed: that protects it."""
    sandbox = request.app[SANDBOX]
    name = request.match_info["name"]
    found = sandbox.documents.get(name.partition(".")[0])
    path = None if found is None else found.path_of(name)
    if path is None or not path.exists():
        return await not_found(request)
    content_type = CONTENT_TYPES.get(name.rpartition(".")[2])
    headers = {"Content-Type": content_type or "application/octet-stream"}
    if content_type is None:
        headers["Content-Disposition"] = "attachment"
    return web.FileResponse(path, headers=headers)


def thumbnail_path(
    document: Document, labels: tuple[str, ...], version: Version | None = None
) -> str:
    """Return the address of the first of these sizes that exists, or an empty text."""
    file = document.file if version is None else version.file
    made = {thumbnail.label: thumbnail for thumbnail in file.thumbnails}
    label = next((label for label in labels if label in made), None)
    if label is None:
        return ""
    return document.media_path(document.thumbnail_name(made[label], version))


def _is_visible(document: Document) -> bool:
    return document.owner == ACCOUNT or document.share == PUBLIC
