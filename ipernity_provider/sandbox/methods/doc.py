"""``doc.get``, ``doc.getMedias``, ``doc.set``, ``doc.delete``"""

from __future__ import annotations

import math

from ipernity_provider.sandbox.documents import Document
from ipernity_provider.sandbox.gate import Admitted
from ipernity_provider.sandbox.methods import parts
from ipernity_provider.sandbox.reply import Payload, Value


async def get(asked: Admitted) -> Payload:
    document = asked.visible_document()
    owned = asked.owns(document)
    doc: dict[str, Value] = {
        **parts.head(document),
        "rotation": 0,
        "link": f"{asked.call.root}/doc/{document.owner.user_id}/{document.doc_id}",
        "description": document.description,
        "owner": parts.owner(document, is_pro=asked.sandbox.settings.is_pro),
        "dates": parts.dates(document),
        "visibility": parts.visibility(document),
        "permissions": {"comment": 5, "tag": 5, "tagme": 5},
        "count": parts.count(document),
        "can": {"fave": 0, "comment": 1, "tag": 1, "tagme": 1, "zoom": 1, "download": owned, "print": owned},
        "you": {"isfave": 0, "visits": 0, "last_visit": 0},
        **parts.files(document, asked.call.root, owned=owned),
    }
    _add_extras(doc, document, asked.call.listed("extra"), asked.sandbox.settings.md5_member)
    return {"doc": doc}


def _add_extras(doc: dict[str, Value], document: Document, extra: list[str], md5_member: str) -> None:
    if "geo" in extra and document.lat is not None and document.lng is not None:
        doc["geo"] = {"lat": document.lat, "lng": document.lng}
    if "tags" in extra:
        doc["tags"] = parts.tags(document)
    if "notes" in extra:
        doc["notes"] = {"total": 0}
    if "md5" in extra:
        parts.add_md5(doc, document, md5_member)


async def get_medias(asked: Admitted) -> Payload:
    """The same members as in ``doc.get``, but at top level."""
    document = asked.visible_document()
    return parts.files(document, asked.call.root, owned=asked.owns(document))


async def delete(asked: Admitted) -> Payload:
    document = asked.own_document()
    del asked.sandbox.documents[document.doc_id]
    asked.sandbox.remove_file(document.file)
    return {}


async def set_fields(asked: Admitted) -> Payload:
    """Texts, share, licence, safety and place. Only a changed text is answered with the document."""
    document = asked.own_document()
    given = asked.call.params
    texts = {name: given[name] for name in ("title", "description") if name in given}
    numbers = {name: _number(asked, name, highest) for name, highest in _HIGHEST.items() if name in given}
    place = {name: _degrees(asked, name) for name in ("lat", "lng") if name in given}
    changes = {**texts, **numbers, **place}
    if not changes:
        raise asked.error(2)
    for name, value in changes.items():
        setattr(document, name, value)
    document.modified_at = asked.sandbox.at()
    if not texts:
        return {}
    return {
        "doc": {
            "doc_id": document.doc_id,
            "title": document.title,
            "share": document.share,
            "description": document.description,
        }
    }


_HIGHEST = {"share": 4, "license": 255, "safety": 3}


def _number(asked: Admitted, name: str, highest: int) -> int:
    text = asked.call.param(name)
    if not (text.isascii() and text.isdigit() and int(text) <= highest):
        raise asked.error(3)
    return int(text)


def _degrees(asked: Admitted, name: str) -> float | None:
    """None for -999, which other clients send for "no place"."""
    try:
        degrees = float(asked.call.param(name))
    except ValueError:
        raise asked.error(3) from None
    if degrees == -999:
        return None
    if not math.isfinite(degrees) or abs(degrees) > (90 if name == "lat" else 180):
        raise asked.error(3)
    return degrees
