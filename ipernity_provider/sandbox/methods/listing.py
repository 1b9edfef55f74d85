"""``doc.getList`` and ``doc.checkMD5``."""

from __future__ import annotations

from ipernity_provider.sandbox.auth import AuthorizedCall
from ipernity_provider.sandbox.documents import Document
from ipernity_provider.sandbox.methods import serializers
from ipernity_provider.sandbox.methods.account import find_user
from ipernity_provider.sandbox.reply import Payload, Value
from ipernity_provider.sandbox.request import ApiRequest

MAX_SUMS = 20
MAX_PER_PAGE = 100


async def get_list(call: AuthorizedCall) -> Payload:
    """Answer with one page of a user's documents, the newest first.

    A page without documents has no member ``doc``.
    """
    user = find_user(call.request.param("user_id"), call.token)
    if user is None:
        raise call.error(1)
    media, share = call.request.param("media"), call.request.param("share")
    documents = [
        document
        for document in reversed(call.sandbox.documents.values())
        if document.owner == user
        and call.sees(document)
        and media in ("", document.file.media)
        and share in ("", str(document.share))
    ]
    documents.sort(key=lambda document: document.posted_at, reverse=True)
    per_page = min(MAX_PER_PAGE, _number(call.request, "per_page", 20))
    page = _number(call.request, "page", 1)
    on_page = documents[(page - 1) * per_page : page * per_page]
    return {
        "docs": {
            "total": len(documents),
            "per_page": per_page,
            "page": page,
            "pages": -(-len(documents) // per_page),
            "doc": [_entry(call, document) for document in on_page],
        }
    }


def _number(request: ApiRequest, name: str, default: int) -> int:
    """Return a parameter as a number of at least 1; ``default`` when it is not a number."""
    text = request.param(name)
    is_number = text.isascii() and text.isdigit() and len(text) < 10
    return max(1, int(text)) if is_number else default


def _entry(call: AuthorizedCall, document: Document) -> Payload:
    extra, root = call.request.listed("extra"), call.request.root
    entry: dict[str, Value] = {**serializers.head(document)}
    label = call.request.param("thumbsize") or "75x"
    thumbnail = next((one for one in document.file.thumbnails if one.label == label), None)
    if thumbnail is not None:
        entry["thumb"] = serializers.thumb(document, thumbnail, root)
    if "dates" in extra:
        entry["dates"] = serializers.dates(document, call.sandbox.settings)
    if "count" in extra:
        entry["count"] = serializers.count(document)
    if "geo" in extra and document.lat is not None and document.lng is not None:
        entry["geo"] = {"lat": document.lat, "lng": document.lng}
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
