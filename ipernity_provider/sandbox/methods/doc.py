"""``doc.get``, ``doc.getMedias``, ``doc.set``, ``doc.delete``."""

from __future__ import annotations

import math

from ipernity_provider.sandbox.auth import AuthorizedCall
from ipernity_provider.sandbox.methods import serializers
from ipernity_provider.sandbox.reply import Payload, Value

_MAXIMA = {"share": 4, "license": 255, "safety": 3}
"""The highest value of each number that can be set."""


async def get(call: AuthorizedCall) -> Payload:
    """Answer with one document, and with the extras that the call names."""
    document = call.visible_document()
    owned = call.owns(document)
    extra = call.request.listed("extra")
    doc: dict[str, Value] = {
        **serializers.head(document),
        "rotation": 0,
        "link": f"{call.request.root}/doc/{document.owner.user_id}/{document.doc_id}",
        "description": document.description,
        "owner": serializers.owner(document, is_pro=call.sandbox.settings.is_pro),
        "dates": serializers.dates(document, call.sandbox.settings),
        "visibility": serializers.visibility(document),
        "permissions": {"comment": 5, "tag": 5, "tagme": 5},
        "count": serializers.count(document),
        "can": {
            **dict.fromkeys(("comment", "tag", "tagme", "zoom"), 1),
            "fave": 0,
            "download": owned,
            "print": owned,
        },
        "you": {"isfave": 0, "visits": 0, "last_visit": 0},
        **serializers.files(document, call.request.root, owned=owned),
    }
    if "geo" in extra and document.lat is not None and document.lng is not None:
        doc["geo"] = {"lat": document.lat, "lng": document.lng}
    if "tags" in extra:
        doc["tags"] = serializers.tags(document)
    if "notes" in extra:
        doc["notes"] = {"total": 0}
    if "md5" in extra:
        serializers.add_md5(doc, document, call.sandbox.settings)
    return {"doc": doc}


async def get_medias(call: AuthorizedCall) -> Payload:
    """Answer with the file members of ``doc.get``, at top level."""
    document = call.visible_document()
    return serializers.files(document, call.request.root, owned=call.owns(document))


async def delete(call: AuthorizedCall) -> Payload:
    """Delete a document and its files."""
    document = call.own_document()
    del call.sandbox.documents[document.doc_id]
    call.sandbox.remove_file(document.file)
    return {}


async def set_fields(call: AuthorizedCall) -> Payload:
    """Change texts, share, licence, safety and place.

    The answer contains the document only after a change of its texts.
    """
    document = call.own_document()
    given = call.request.params
    texts = {name: given[name] for name in ("title", "description") if name in given}
    changes = {**texts, **numbers_of(call, invalid_code=3), **place_of(call, invalid_code=3)}
    if not changes:
        raise call.error(2)
    for name, value in changes.items():
        setattr(document, name, value)
    document.modified_at = call.sandbox.at()
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


def numbers_of(call: AuthorizedCall, invalid_code: int) -> dict[str, int]:
    """Return the share, licence and safety that the call names.

    :raises ApiError: ``invalid_code`` when one of them is not a number in its range.
    """
    numbers = {}
    for name, maximum in _MAXIMA.items():
        if name not in call.request.params:
            continue
        text = call.request.param(name)
        if not (text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= maximum):
            raise call.error(invalid_code)
        numbers[name] = int(text)
    return numbers


def place_of(call: AuthorizedCall, invalid_code: int) -> dict[str, float | None]:
    """Return the latitude and longitude that the call names; None for -999, which means no place.

    :raises ApiError: ``invalid_code`` when one of them is not a number of degrees.
    """
    place: dict[str, float | None] = {}
    for name, maximum in (("lat", 90), ("lng", 180)):
        if name not in call.request.params:
            continue
        try:
            degrees = float(call.request.param(name))
        except ValueError:
            raise call.error(invalid_code) from None
        if degrees != -999 and not (math.isfinite(degrees) and abs(degrees) <= maximum):
            raise call.error(invalid_code)
        place[name] = None if degrees == -999 else degrees
    return place
