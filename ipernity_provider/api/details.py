"""What a document has besides its file: texts, licence, visibility, position, tags, notes, places.

Of writing it only the calls of other clients and the help pages are known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated, Any

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.parsing import FLAG, ID, NUMBER, WORD, Kind, parse, parse_all

_LONGEST_TEXT = 256 << 10


def _read_raw(value: Any) -> str:
    """Return a text as it is, line breaks included: it is sent back."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError
    if len(text := str(value)) > _LONGEST_TEXT:
        raise ValueError  # half of a text must not be taken for all of it
    return text


def _read_degrees(value: Any) -> float:
    if isinstance(value, bool) or not math.isfinite(degrees := float(value)):
        raise ValueError
    return degrees


_RAW = Kind("text", _read_raw)
_DEGREES = Kind("a number of degrees", _read_degrees)

#: Whether everybody, the family and the friends of its owner see a document.
Visibility = tuple[bool, bool, bool]
PRIVATE: Visibility = (False, False, False)


@dataclass(frozen=True)
class Tag:
    """A keyword, or a member who is on the picture.

    :param kind: ``keyword``, ``member`` or ``machine``.
    :param id: of the member, for a member.
    """

    kind: Annotated[str, WORD.at("type")] = "keyword"
    id: Annotated[str, ID] = ""
    text: Annotated[str, _RAW.at("tag")] = ""


@dataclass(frozen=True)
class Note:
    """A text on an area of a photo, in pixels of a size that is not documented.

    :param author_id: the member who wrote it.
    :param member_id: the member whom it shows; empty where it shows none.
    """

    note_id: Annotated[str, ID]
    author_id: Annotated[str, ID.at("user_id")] = ""
    x: Annotated[int, NUMBER] = 0
    y: Annotated[int, NUMBER] = 0
    w: Annotated[int, NUMBER] = 0
    h: Annotated[int, NUMBER] = 0
    content: Annotated[str, _RAW] = ""
    member_id: Annotated[str, ID] = ""

    @property
    def shows(self) -> tuple[object, ...]:
        """What a copy of it has in common with it."""
        return self.x, self.y, self.w, self.h, self.content, self.member_id


@dataclass(frozen=True)
class _Album:
    album_id: Annotated[str, ID]


@dataclass(frozen=True)
class _Group:
    group_id: Annotated[str, ID]


@dataclass(frozen=True)
class DocumentDetails:
    """A document without its file. None, where the service does not show something.

    :param license: the service's code, and ``safety`` and the three permissions alike.
    :param lat: degrees; None, as is ``lng``, where the document has no position.
    :param albums: ids, and ``groups`` alike.
    """

    doc_id: Annotated[str, ID]
    owner_id: Annotated[str, ID.at("owner.user_id")] = ""
    link: Annotated[str | None, _RAW] = None
    title: Annotated[str, _RAW] = ""
    description: Annotated[str, _RAW] = ""
    license: Annotated[int | None, NUMBER] = None
    safety: Annotated[int | None, NUMBER] = None
    is_public: Annotated[bool | None, FLAG.at("visibility.ispublic")] = None
    is_family: Annotated[bool | None, FLAG.at("visibility.isfamily")] = None
    is_friend: Annotated[bool | None, FLAG.at("visibility.isfriend")] = None
    perm_comment: Annotated[int | None, NUMBER.at("permissions.comment")] = None
    perm_tag: Annotated[int | None, NUMBER.at("permissions.tag")] = None
    perm_tagme: Annotated[int | None, NUMBER.at("permissions.tagme")] = None
    lat: Annotated[float | None, _DEGREES.at("geo.lat")] = None
    lng: Annotated[float | None, _DEGREES.at("geo.lng")] = None
    tags: tuple[Tag, ...] = ()
    notes: tuple[Note, ...] = ()
    albums: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    @property
    def visibility(self) -> Visibility | None:
        """Who sees it; None where the service shows none of its three flags."""
        flags = (self.is_public, self.is_family, self.is_friend)
        return None if flags == (None, None, None) else (bool(flags[0]), *map(bool, flags[1:]))  # type: ignore[return-value]


def get_details(client: IpernityClient, doc_id: str) -> DocumentDetails:
    """Return a document's details: ``doc.get``, then ``doc.getContainers``.

    :raises DocumentNotFound: there is no such document, or the caller may not see it.
    :raises ReplyInvalid: the answer is about another document, or cannot be read.
    """
    method = "doc.get"
    reply = client.call(method, doc_id=doc_id, extra=["tags", "notes", "geo"])
    details = parse(DocumentDetails, reply, method, "doc", asked_for=("doc_id", [doc_id]))
    containers = client.call("doc.getContainers", doc_id=doc_id)
    albums = parse_all(_Album, containers, "doc.getContainers", "albums.album")
    groups = parse_all(_Group, containers, "doc.getContainers", "groups.group")
    return replace(
        details,
        tags=tuple(parse_all(Tag, reply, method, "doc.tags.tag")),
        notes=tuple(parse_all(Note, reply, method, "doc.notes.note")),
        albums=tuple(album.album_id for album in albums),
        groups=tuple(group.group_id for group in groups),
    )
