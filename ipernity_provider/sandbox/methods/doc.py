"""``doc.get``, ``doc.getMedias``, ``doc.getContainers``, ``doc.set*``, ``doc.delete``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ipernity_provider.sandbox.auth import AuthorizedCall
from ipernity_provider.sandbox.errors import NOT_EMULATED
from ipernity_provider.sandbox.methods import serializers
from ipernity_provider.sandbox.methods.fields import read_fields
from ipernity_provider.sandbox.parameters import PARAMETERS
from ipernity_provider.sandbox.reply import Payload, Value

EXTRAS = ("tags", "notes", "geo", "md5")


async def get(call: AuthorizedCall) -> Payload:
    """Answer with one document, and with the extras that the call names."""
    document = call.visible_document()
    owned = call.owns(document)
    extra = call.extras(EXTRAS)
    doc: dict[str, Value] = {
        **serializers.head(document),
        "rotation": 0,
        "link": f"{call.request.root}/doc/{document.owner.user_id}/{document.doc_id}",
        "description": document.description,
        "owner": serializers.owner(call, document.owner),
        "dates": serializers.dates(document, call.sandbox.settings),
        "visibility": serializers.visibility(document),
        "permissions": serializers.permissions(document),
        "count": serializers.count(call, document),
        "can": serializers.can(call, document),
        "you": {"isfave": 0, "visits": 0, "last_visit": 0},
        **serializers.files(document, call.request.root, owned=owned),
    }
    if "geo" in extra:
        serializers.add_geo(doc, document)
    if "tags" in extra:
        doc["tags"] = serializers.tags(document)
    if "notes" in extra:
        doc["notes"] = serializers.notes(document)
    if "md5" in extra:
        serializers.add_md5(doc, document, call.sandbox.settings)
    return {"doc": doc}


async def get_medias(call: AuthorizedCall) -> Payload:
    """Answer with the file members of ``doc.get``, at top level."""
    document = call.visible_document()
    return serializers.files(document, call.request.root, owned=call.owns(document))


async def get_containers(call: AuthorizedCall) -> Payload:
    """Answer with the albums and groups that a document is in."""
    doc_id = call.visible_document().doc_id
    albums = [album for album in call.sandbox.albums.values() if doc_id in album.doc_ids]
    groups = [group for group in call.sandbox.groups.values() if doc_id in group.doc_ids]
    return {
        "albums": {"album": [{"album_id": one.album_id} for one in albums]},
        "groups": {"group": [{"group_id": one.group_id} for one in groups]},
    }


async def delete(call: AuthorizedCall) -> Payload:
    """Delete a document and its files."""
    call.sandbox.delete_document(call.own_document())
    return {}


@dataclass(frozen=True)
class _Refusals:
    """The error numbers of a method that sets fields: nothing was given, a value is wrong."""

    missing: int = NOT_EMULATED
    invalid: int = NOT_EMULATED


_REFUSALS: Mapping[str, _Refusals] = {
    "doc.set": _Refusals(missing=2, invalid=3),
    "doc.setPerms": _Refusals(missing=2, invalid=2),
}
"""For the others, no numbers are documented."""


async def set_fields(call: AuthorizedCall) -> Payload:
    """Change the fields that belong to the method: ``doc.set`` and its smaller relatives.

    The answer contains the document only after a change of its texts.
    """
    document = call.own_document()
    refusals = _REFUSALS.get(call.request.method, _Refusals())
    fields = read_fields(call, PARAMETERS[call.request.method].applied, refusals.invalid)
    if not fields:
        raise call.error(refusals.missing)
    for name, value in fields.items():
        setattr(document, name, value)
    document.modified_at = call.sandbox.at()
    if not {"title", "description"} & fields.keys():
        return {}
    return {
        "doc": {
            "doc_id": document.doc_id,
            "title": document.title,
            "share": document.share,
            "description": document.description,
        }
    }
