"""``doc.getList`` and ``doc.checkMD5``, and the pages of every list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from ipernity_provider.sandbox.auth import AuthorizedCall
from ipernity_provider.sandbox.containers import Album, Group
from ipernity_provider.sandbox.documents import Document
from ipernity_provider.sandbox.media import ALL_LABELS
from ipernity_provider.sandbox.methods import serializers
from ipernity_provider.sandbox.methods.users import find_user
from ipernity_provider.sandbox.reply import Payload, Value
from ipernity_provider.sandbox.request import ApiRequest

MAX_SUMS = 20
MAX_PER_PAGE = 100
EXTRAS = ("dates", "count", "geo", "medias", "original", "md5")
_MEDIA = ("", "photo", "audio", "video", "other")
_SHARES = ("", "0", "1", "2", "3", "4")

Item = TypeVar("Item")


async def get_list(call: AuthorizedCall) -> Payload:
    """Answer with one page of a user's documents, the newest first."""
    user = find_user(call.request.param("user_id"), call.token)
    if user is None:
        raise call.error(1)
    documents = [document for document in filtered(call) if document.owner == user]
    return {"docs": page_of_documents(call, documents)}


def filtered(call: AuthorizedCall) -> list[Document]:
    """Return the documents that the caller sees and that fit ``media`` and ``share``.

    The newest comes first.

    :raises ApiError: 900 for a value that is not documented.
    """
    media, share = call.request.param("media"), call.request.param("share")
    if media not in _MEDIA:
        raise call.unknown("media is not photo, audio, video or other")
    if share not in _SHARES:
        raise call.unknown("share is not a number from 0 to 4")
    documents = [
        document
        for document in reversed(call.sandbox.documents.values())
        if call.sees(document)
        and media in ("", document.file.media)
        and share in ("", str(document.share))
    ]
    return sorted(documents, key=lambda document: document.posted_at, reverse=True)


def page_of(call: AuthorizedCall, items: Sequence[Item]) -> tuple[Payload, Sequence[Item]]:
    """Return the figures of the page that the call requests, and the items on it."""
    per_page = min(MAX_PER_PAGE, _number(call.request, "per_page", 20))
    page = _number(call.request, "page", 1)
    figures = {
        "total": len(items),
        "per_page": per_page,
        "page": page,
        "pages": -(-len(items) // per_page),
    }
    return figures, items[(page - 1) * per_page : page * per_page]


def page_of_documents(call: AuthorizedCall, documents: Sequence[Document]) -> Payload:
    """Return the members of a list of documents: the page of those that the caller sees."""
    visible = [document for document in documents if call.sees(document)]
    figures, on_page = page_of(call, visible)
    return {**figures, "doc": [_entry(call, document) for document in on_page]}


def add_documents(call: AuthorizedCall, container: Album | Group) -> list[Payload]:
    """Put the documents ``doc_id`` of the account into an album or group, each once.

    One that is in it already, or that is not the account's, is reported as not added.
    """
    reports: list[Payload] = []
    for doc_id in call.listed_doc_ids():
        document = call.sandbox.documents.get(doc_id)
        is_own = document is not None and call.owns(document)
        is_new = is_own and doc_id not in container.doc_ids
        if is_new:
            container.doc_ids.append(doc_id)
        reports.append({"doc_id": doc_id, "added": is_new})
    return reports


def _number(request: ApiRequest, name: str, default: int) -> int:
    """Return a parameter as a number of at least 1; ``default`` when it is not a number."""
    text = request.param(name)
    is_number = text.isascii() and text.isdigit() and len(text) < 10
    return max(1, int(text)) if is_number else default


def _entry(call: AuthorizedCall, document: Document) -> Payload:
    extra, root = call.extras(EXTRAS), call.request.root
    entry: dict[str, Value] = {**serializers.head(document)}
    label = call.request.param("thumbsize") or "75x"
    if label not in ALL_LABELS:
        raise call.unknown("thumbsize is not one of the documented labels")
    thumbnail = next((one for one in document.file.thumbnails if one.label == label), None)
    if thumbnail is not None:
        entry["thumb"] = serializers.thumb(document, thumbnail, root)
    if "dates" in extra:
        entry["dates"] = serializers.dates(document, call.sandbox.settings)
    if "count" in extra:
        entry["count"] = serializers.count(call, document)
    if "geo" in extra:
        serializers.add_geo(entry, document)
    if "medias" in extra and document.file.media in ("audio", "video"):
        entry["medias"] = serializers.medias(document, root)
    if "original" in extra and call.owns(document):
        entry["original"] = serializers.original(document, root)
    if "md5" in extra:
        serializers.add_md5(entry, document, call.sandbox.settings)
    return entry


async def check_md5(call: AuthorizedCall) -> Payload:
    """Answer which files exist, by the checksum of the bytes as they are stored.

    A call without a sum is error 1. More than 20 are error 2 (the service's own answer is not
    known).
    """
    sums = call.request.listed("md5")
    if not sums:
        raise call.error(1)
    if len(sums) > MAX_SUMS:
        raise call.error(2)
    kind = call.sandbox.settings.check_md5
    hits: list[Payload] = []
    for md5 in sums:
        ids = [
            document.doc_id
            for document in call.sandbox.documents.values()
            if kind != "nothing"
            and serializers.shown_md5(document, kind) == md5.lower()
            and call.sees(document)
        ]
        hits += [{"md5": md5, "found": 1, "doc_id": doc_id} for doc_id in ids]
        if not ids:
            hits.append({"md5": md5, "found": 0})
    found = sum(hit["found"] == 1 for hit in hits)
    return {"docs": {"count": len(hits), "found": found, "doc": hits}}
