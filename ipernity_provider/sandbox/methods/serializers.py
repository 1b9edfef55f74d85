"""Turn a document into the members of replies; shared by the ``doc.*`` methods."""

from __future__ import annotations

from dataclasses import asdict

from ipernity_provider.sandbox.auth import AuthorizedCall
from ipernity_provider.sandbox.credentials import ACCOUNT
from ipernity_provider.sandbox.documents import (
    FAMILY,
    FRIENDS,
    PUBLIC,
    Document,
    Note,
    Thumbnail,
    User,
)
from ipernity_provider.sandbox.reply import Payload, Value
from ipernity_provider.sandbox.settings import Settings

EVERYONE = 5
"""The highest level of who may comment and tag."""


def head(document: Document) -> Payload:
    return {
        "doc_id": document.doc_id,
        "media": document.file.media,
        "license": document.license,
        "title": document.title,
        "safety": document.safety,
    }


def owner(call: AuthorizedCall, user: User) -> Payload:
    return {
        "user_id": user.user_id,
        "username": user.username,
        "realname": user.realname,
        "alias": user.alias,
        "is_pro": call.sandbox.settings.is_pro if user == ACCOUNT else 1,
        "icon": call.request.root + user.icon_path,
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
        "comment_at": 0,
        "last_comment_at": 0,
        "last_update_at": document.modified_at,
    }


def visibility(document: Document) -> Payload:
    return {
        "ispublic": document.share == PUBLIC,
        "isfriend": document.share in (FRIENDS, FAMILY | FRIENDS),
        "isfamily": document.share in (FAMILY, FAMILY | FRIENDS),
        "share": document.share,
    }


def permissions(document: Document) -> Payload:
    return {
        "comment": document.perm_comment,
        "tag": document.perm_tag,
        "tagme": document.perm_tagme,
    }


def can(call: AuthorizedCall, document: Document) -> Payload:
    """Return what the caller may do; the users of the sandbox have no relations."""
    owned = call.owns(document)
    levels = permissions(document)
    return {
        "fave": 0,
        **{name: owned or level == EVERYONE for name, level in levels.items()},
        "zoom": 1,
        "download": owned,
        "print": owned,
    }


def count(call: AuthorizedCall, document: Document) -> Payload:
    albums, groups = call.sandbox.albums.values(), call.sandbox.groups.values()
    return {
        "visits": 0,
        "faves": 0,
        "comments": 0,
        "notes": len(document.notes),
        "tags": len(document.tags),
        "albums": sum(document.doc_id in album.doc_ids for album in albums),
        "groups": sum(document.doc_id in group.doc_ids for group in groups),
        "last_visit": 0,
    }


def tags(document: Document) -> Payload:
    listed: list[Payload] = [asdict(tag) for tag in document.tags]
    return {"total": len(listed), "tag": listed}


def notes(document: Document) -> Payload:
    return {"total": len(document.notes), "note": [note(one) for one in document.notes]}


def note(one: Note) -> Payload:
    """Describe a note; the members of the person whom it shows exist only if there is one."""
    shown = one.member
    person = {"member_id": shown.user_id, "membername": shown.username} if shown else {}
    return {
        "note_id": one.note_id,
        "user_id": one.author.user_id,
        "username": one.author.username,
        **person,
        "x": one.x,
        "y": one.y,
        "w": one.w,
        "h": one.h,
        "content": one.content,
    }


def add_geo(doc: dict[str, Value], document: Document) -> None:
    """Add the position, if the document has one. The sandbox knows no names of places."""
    if document.lat is not None and document.lng is not None:
        place: Payload = {"lat": document.lat, "lng": document.lng, "loc_id": 0, "location": ""}
        doc["geo"] = place


def thumb(document: Document, thumbnail: Thumbnail, root: str) -> Payload:
    return {
        "label": thumbnail.label,
        "ext": "jpg",
        "w": thumbnail.w,
        "h": thumbnail.h,
        "url": root + document.media_path(document.thumbnail_name(thumbnail)),
    }


def original(document: Document, root: str) -> Payload:
    """Describe the file; a size or length that the sandbox cannot tell is missing."""
    file = document.file
    size: dict[str, Value] = {"w": file.w, "h": file.h} if file.w else {}
    length: dict[str, Value] = {"length": file.seconds} if file.seconds else {}
    return {
        "ext": file.ext,
        **size,
        **length,
        "filename": file.filename,
        "bytes": file.bytes,
        "url": root + document.media_path(document.original_name()),
    }


def medias(document: Document, root: str) -> Payload:
    """Return the renditions of a video or audio file; the sandbox has only the original.

    A size or length that it cannot tell is 0. ``lenght`` is the service's own spelling.
    """
    file = document.file
    rendition: dict[str, Value] = {
        "label": file.ext,
        "ext": file.ext,
        "format": file.ext,
        "w": file.w,
        "h": file.h,
        "lenght": file.seconds,
        "url": root + document.media_path(document.original_name()),
    }
    return {"media": [rendition]}


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
