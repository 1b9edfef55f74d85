"""``doc.notes.*``: texts on areas of a photo.

The parameters of these methods are not known. Here they are named like the members in which
``doc.get`` shows a note.
"""

from __future__ import annotations

from collections.abc import Iterable

from ipernity_provider.sandbox.auth import AuthorizedCall
from ipernity_provider.sandbox.credentials import ACCOUNT
from ipernity_provider.sandbox.documents import Document, Note, User
from ipernity_provider.sandbox.methods import serializers
from ipernity_provider.sandbox.methods.tags import members_of
from ipernity_provider.sandbox.reply import Payload

AREA = ("x", "y", "w", "h")


async def add(call: AuthorizedCall) -> Payload:
    """Add a note to one of the account's photos."""
    document = call.own_document()
    if document.file.media != "photo":
        raise call.unknown("the document is not a photo")
    area = _area(call, AREA)
    member = _member(call)
    content = call.request.param("content")
    if not content and member is None:
        raise call.unknown("content is missing")
    note = Note(call.sandbox.new_id("note"), ACCOUNT, **area, content=content, member=member)
    document.notes.append(note)
    return _changed(call, document, note)


async def edit(call: AuthorizedCall) -> Payload:
    """Change what the call names of a note."""
    document, note = _own_note(call)
    given = call.request.params
    for name, value in _area(call, [name for name in AREA if name in given]).items():
        setattr(note, name, value)
    if "content" in given:
        note.content = given["content"]
    if "member_id" in given:
        note.member = _member(call)
    return _changed(call, document, note)


async def delete(call: AuthorizedCall) -> Payload:
    """Remove a note."""
    document, note = _own_note(call)
    document.notes.remove(note)
    document.modified_at = call.sandbox.at()
    return {}


def _own_note(call: AuthorizedCall) -> tuple[Document, Note]:
    """Return the note ``note_id`` of one of the account's documents.

    :raises ApiError: 1 when there is none, or when it is not on the document ``doc_id``.
    """
    note_id, doc_id = call.request.param("note_id"), call.request.param("doc_id")
    for document in call.sandbox.documents.values():
        if document.owner != ACCOUNT or doc_id not in ("", document.doc_id):
            continue
        for note in document.notes:
            if note.note_id == note_id:
                return document, note
    raise call.error(1)


def _area(call: AuthorizedCall, names: Iterable[str]) -> dict[str, int]:
    texts = {name: call.request.param(name) for name in names}
    for name, text in texts.items():
        if not (text.isascii() and text.isdigit() and len(text) <= 6):
            raise call.unknown(f"{name} is not a whole number of pixels")
    return {name: int(text) for name, text in texts.items()}


def _member(call: AuthorizedCall) -> User | None:
    members = members_of(call, "member_id")
    if len(members) > 1:
        raise call.unknown("member_id names more than one user")
    return members[0] if members else None


def _changed(call: AuthorizedCall, document: Document, note: Note) -> Payload:
    document.modified_at = call.sandbox.at()
    return {"note": serializers.note(note)}
