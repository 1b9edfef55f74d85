"""Turn a document into the members of replies; shared by the ``doc.*`` methods."""

from __future__ import annotations

from ipernity_provider.sandbox.documents import PUBLIC, Document, Thumbnail
from ipernity_provider.sandbox.reply import Payload, Value
from ipernity_provider.sandbox.settings import Settings


def head(document: Document) -> Payload:
    return {
        "doc_id": document.doc_id,
        "media": document.file.media,
        "license": document.license,
        "title": document.title,
        "safety": document.safety,
    }


def owner(document: Document, *, is_pro: bool) -> Payload:
    user = document.owner
    return {
        "user_id": user.user_id,
        "username": user.username,
        "realname": user.realname,
        "alias": user.alias,
        "is_pro": is_pro,
    }


def dates(document: Document, settings: Settings) -> Payload:
    """Return the document's dates; ``replaced_at`` exists only after a replacement."""
    is_shown = document.replaced_at is not None and settings.show_replaced_at
    replaced = {"replaced_at": document.replaced_at or 0} if is_shown else {}
    return {
        "posted_at": document.posted_at,
        **replaced,
        "created": document.created,
        "modified_at": document.modified_at,
    }


def visibility(document: Document) -> Payload:
    return {
        "ispublic": document.share == PUBLIC,
        "isfriend": document.share in (2, 3),
        "isfamily": document.share in (1, 3),
        "share": document.share,
    }


def count(document: Document) -> Payload:
    names = ("visits", "faves", "comments", "notes", "tags", "albums", "groups")
    return {**dict.fromkeys(names, 0), "tags": len(document.keywords)}


def tags(document: Document) -> Payload:
    keywords: list[Payload] = [
        {
            "type": "keyword",
            "id": f"{document.doc_id}{number}",
            "user_id": document.owner.user_id,
            "tag": keyword,
            "added_at": document.posted_at,
        }
        for number, keyword in enumerate(document.keywords, 1)
    ]
    return {"total": len(keywords), "tag": keywords}


def thumb(document: Document, thumbnail: Thumbnail, root: str) -> Payload:
    return {
        "label": thumbnail.label,
        "ext": "jpg",
        "w": thumbnail.w,
        "h": thumbnail.h,
        "url": root + document.media_path(document.thumbnail_name(thumbnail)),
    }


def original(document: Document, root: str) -> Payload:
    file = document.file
    size: dict[str, Value] = {"w": file.w, "h": file.h} if file.media == "photo" else {}
    return {
        "ext": file.ext,
        **size,
        "filename": file.filename,
        "bytes": file.bytes,
        "url": root + document.media_path(document.original_name()),
    }


def medias(document: Document, root: str) -> Payload:
    """Return the renditions of a video or audio file; the sandbox has only the original."""
    url = root + document.media_path(document.original_name())
    ext = document.file.ext
    return {"media": [{"label": ext, "ext": ext, "lenght": 0, "url": url}]}


def files(document: Document, root: str, *, owned: bool) -> dict[str, Value]:
    """Return ``thumbs``, ``medias`` and, for the owner only, ``original``, where they exist."""
    found: dict[str, Value] = {}
    if document.file.thumbnails:
        thumbs = [thumb(document, one, root) for one in document.file.thumbnails]
        found["thumbs"] = {"thumb": thumbs}
    if document.file.media in ("audio", "video"):
        found["medias"] = medias(document, root)
    if owned:
        found["original"] = original(document, root)
    return found


def shown_md5(document: Document, kind: str) -> str:
    """Return the checksum of the bytes ``stored`` or ``sent``."""
    return (
        document.file.sent_md5 if kind == "sent" and document.file.sent_md5 else document.file.md5
    )


def add_md5(doc: dict[str, Value], document: Document, settings: Settings) -> None:
    """Add the checksum where the setting ``md5_member`` says; the service's place is not known."""
    member, md5 = settings.md5_member, shown_md5(document, settings.md5_of)
    if member in ("doc", "both"):
        doc["md5"] = md5
    if member in ("original", "both") and isinstance(doc.get("original"), dict):
        doc["original"] = {**doc["original"], "md5": md5}  # type: ignore[dict-item]
