"""``doc.getList`` and ``doc.checkMD5``"""

from __future__ import annotations

from ipernity_provider.sandbox.documents import Document
from ipernity_provider.sandbox.gate import Admitted
from ipernity_provider.sandbox.methods import parts
from ipernity_provider.sandbox.methods.user import find_user
from ipernity_provider.sandbox.receive import ApiCall
from ipernity_provider.sandbox.reply import Payload, Value

MOST_SUMS = 20
MOST_PER_PAGE = 100


async def get_list(asked: Admitted) -> Payload:
    """A user's documents, the newest first. A page without documents has no member ``doc``."""
    user = find_user(asked.call.param("user_id"), asked.token)
    if user is None:
        raise asked.error(1)
    found = [
        document
        for document in reversed(asked.sandbox.documents.values())
        if document.owner == user and asked.sees(document) and _fits(document, asked.call)
    ]
    found.sort(key=lambda document: document.posted_at, reverse=True)
    per_page = min(MOST_PER_PAGE, max(1, _number(asked.call, "per_page", 20)))
    page = max(1, _number(asked.call, "page", 1))
    shown = found[(page - 1) * per_page : page * per_page]
    return {
        "docs": {
            "total": len(found),
            "per_page": per_page,
            "page": page,
            "pages": -(-len(found) // per_page),
            "doc": [_entry(asked, document) for document in shown],
        }
    }


def _fits(document: Document, call: ApiCall) -> bool:
    media, share = call.param("media"), call.param("share")
    return media in ("", document.file.media) and share in ("", str(document.share))


def _number(call: ApiCall, name: str, default: int) -> int:
    text = call.param(name)
    return int(text) if text.isascii() and text.isdigit() else default


def _entry(asked: Admitted, document: Document) -> Payload:
    extra, root = asked.call.listed("extra"), asked.call.root
    entry: dict[str, Value] = {**parts.head(document)}
    wanted = asked.call.param("thumbsize") or "75x"
    thumbnail = next((one for one in document.file.thumbnails if one.label == wanted), None)
    if thumbnail is not None:
        entry["thumb"] = parts.thumb(document, thumbnail, root)
    if "dates" in extra:
        entry["dates"] = parts.dates(document)
    if "count" in extra:
        entry["count"] = parts.count(document)
    if "geo" in extra and document.lat is not None and document.lng is not None:
        entry["geo"] = {"lat": document.lat, "lng": document.lng}
    if "medias" in extra and document.file.media in ("audio", "video"):
        entry["medias"] = parts.medias(document, root)
    if "original" in extra and asked.owns(document):
        entry["original"] = parts.original(document, root)
    if "md5" in extra:
        parts.add_md5(entry, document, asked.sandbox.settings.md5_member)
    return entry


async def check_md5(asked: Admitted) -> Payload:
    """Which files are there already: by the checksum of the bytes as they are stored.

    No sum is error 1. More than 20 are error 2 (the service's own answer is not known).
    """
    sums = asked.call.listed("md5")
    if not sums:
        raise asked.error(1)
    if len(sums) > MOST_SUMS:
        raise asked.error(2)
    hits: list[Payload] = []
    for md5 in sums:
        ids = [
            document.doc_id
            for document in asked.sandbox.documents.values()
            if document.file.md5 == md5.lower() and asked.sees(document)
        ]
        hits += [{"md5": md5, "found": 1, "doc_id": doc_id} for doc_id in ids] or [{"md5": md5, "found": 0}]
    found = sum(hit["found"] == 1 for hit in hits)
    return {"docs": {"count": len(hits), "found": found, "doc": hits}}
