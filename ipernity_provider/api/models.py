"""What the calls return, as frozen dataclasses.

Each value was checked when it was received (see :mod:`.parsing`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from ipernity_provider.api.parsing import Members, as_int, as_text

MediaClass = Literal["photo", "audio", "video", "other"]
TicketState = Literal["pending", "done", "invalid", "unknown"]

#: Permission levels, each containing those before it.
LEVELS = ("none", "read", "write", "delete")

_LONGEST_NAME = 1024
_LONGEST_WORD = 32
_DATE_AND_TIME = re.compile(r"(?!0000)[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")


@dataclass(frozen=True)
class Ticket:
    """The state of one upload (``upload.checkTickets``).

    :param state: ``done`` and ``invalid`` are final; ``unknown`` means that the service does not
        know the ticket.
    :param eta: the service's guess of the seconds left, which is unreliable; None without one.
    :param doc_id: the resulting document, once done.
    """

    id: str
    state: TicketState
    eta: int | None = None
    doc_id: str | None = None

    @property
    def pending(self) -> bool:
        return self.state == "pending"

    @classmethod
    def from_members(cls, ticket: Members) -> Ticket:
        """Read a ticket.

        One that is both done and invalid is undocumented and counts as invalid.
        """
        invalid, done = ticket.flag("invalid"), ticket.flag("done")
        ticket_id = ticket.ticket("id")
        if ticket_id is None:
            raise ticket.invalid("id", "a ticket")
        return cls(
            id=ticket_id,
            state="invalid" if invalid else "done" if done else "pending",
            eta=as_int(
                ticket.values.get("eta")
            ),  # a guess that cannot be read is no worse than none
            doc_id=ticket.id("doc_id"),
        )


@dataclass(frozen=True)
class Upload:
    """What an upload call returned: a ticket (``async=1``), a document (``async=0``), or both."""

    ticket: str | None
    doc_id: str | None

    @classmethod
    def from_reply(cls, reply: Mapping[str, Any], method: str) -> Upload:
        members = Members(reply, method)
        return cls(members.ticket("ticket"), members.id("doc_id"))


@dataclass(frozen=True)
class Media:
    """One file of a document: its original or a rendition."""

    label: str
    url: str | None
    filename: str | None
    bytes: int | None
    ext: str | None
    md5: str | None = None

    @classmethod
    def from_members(cls, media: Members, label: str = "") -> Media:
        return cls(
            label=media.text("label", _LONGEST_WORD) or label,
            url=media.url("url"),
            filename=media.text("filename", _LONGEST_NAME) or None,
            bytes=media.number("bytes"),
            ext=media.extension("ext") or media.extension("format"),
            md5=media.md5("md5"),
        )


@dataclass(frozen=True)
class Document:
    """A document as it is now (``doc.get``).

    :param md5: of the stored bytes, lower-case hex; None where the service does not say. No page
        documents which member carries it, so both likely places are read.
    :param bytes: size of the stored original; None where the caller may not see it.
    :param replaced_at: unix seconds of the last replacement; 0 if there was none or the service
        does not say.
    :param asked_at: unix seconds at the service when it answered; None where it did not say.
    :param created: when it was taken, ``YYYY-MM-DD HH:MM:SS`` by the camera's clock, without a time
        zone; None where the service does not say.
    """

    doc_id: str
    media: str
    title: str
    owner_id: str
    link: str | None
    md5: str | None
    bytes: int | None
    filename: str | None
    posted_at: int
    replaced_at: int
    asked_at: int | None
    created: str | None = None

    @classmethod
    def from_reply(cls, reply: Mapping[str, Any]) -> Document:
        """Read a reply of ``doc.get``."""
        members = Members(reply, "doc.get")
        return cls.from_members(
            members.child("doc", required=True), members.child("api").number("at")
        )

    @classmethod
    def from_members(cls, doc: Members, asked_at: int | None = None) -> Document:
        dates = doc.child("dates")
        original = Media.from_members(doc.child("original"))
        created = as_text(dates.values.get("created"))  # nothing depends on it but a proposal
        return cls(
            doc_id=doc.required_id("doc_id"),
            media=doc.text("media", _LONGEST_WORD),
            title=doc.text("title"),
            owner_id=doc.child("owner").id("user_id") or "",
            link=doc.url("link"),
            md5=doc.md5("md5") or original.md5,
            bytes=original.bytes,
            filename=original.filename,
            posted_at=dates.number("posted_at") or 0,
            replaced_at=dates.number("replaced_at") or 0,
            asked_at=asked_at,
            created=created if _DATE_AND_TIME.fullmatch(created) else None,
        )


@dataclass(frozen=True)
class DocumentPage:
    """One page of a list of documents (``doc.getList``, ``doc.search``).

    :param total: how many documents the whole list has; None where the service does not say.
    :param is_last: no page follows. Where the service does not say how many there are, only an
        empty page is the last one.
    """

    documents: tuple[Document, ...]
    total: int | None
    is_last: bool

    @classmethod
    def from_reply(cls, reply: Mapping[str, Any], method: str, page: int, per_page: int) -> Self:
        """Read a reply.

        :param page: the page that was asked for, from 1; an empty list reports page 1 of 0.
        :param per_page: how many documents were asked for.
        """
        members = Members(reply, method)
        docs = members.child("docs")
        documents = tuple(map(Document.from_members, members.children("docs", "doc")))
        # What cannot be read is no worse than what is missing: an empty page ends the list, too.
        total, pages = as_int(docs.values.get("total")), as_int(docs.values.get("pages"))
        if pages is None and total is not None:
            pages = -(-total // (as_int(docs.values.get("per_page")) or per_page))
        return cls(documents, total, not documents or (pages is not None and page >= pages))


@dataclass(frozen=True)
class Medias:
    """The files of a document (``doc.getMedias``).

    :param original: None where the caller may not see it.
    :param renditions: the renditions of a video or audio document.
    """

    original: Media | None
    renditions: tuple[Media, ...]

    @classmethod
    def from_reply(cls, reply: Mapping[str, Any]) -> Medias:
        members = Members(reply, "doc.getMedias")
        original = members.child("original")
        return cls(
            original=Media.from_members(original, "original") if original else None,
            renditions=tuple(map(Media.from_members, members.children("medias", "media"))),
        )


@dataclass(frozen=True)
class Quota:
    """What the account may still upload (``account.getQuota``), in bytes.

    :param is_pro: None where the service does not say.
    :param left_bytes: of this month's volume; None where the service does not say.
    :param max_file_bytes: by media class; a class that is missing has no known limit.
    :param unlimited: the account has no monthly volume; ``left_bytes`` is then below a ceiling that
        the service raises by itself.
    """

    is_pro: bool | None
    used_bytes: int | None
    left_bytes: int | None
    max_file_bytes: Mapping[str, int]
    unlimited: bool = False

    @property
    def spendable_bytes(self) -> int | None:
        """The bytes that uploads may still use this month.

        None if there is no limit, or if the service does not report it.
        """
        return None if self.unlimited else self.left_bytes

    @classmethod
    def from_reply(cls, reply: Mapping[str, Any]) -> Quota:
        quota = Members(reply, "account.getQuota").child("quota", required=True)
        upload, limits = quota.child("upload"), quota.child("maxfilesize")
        pro = quota.number("is_pro")
        # An account that has used more than its volume may have less than nothing left.
        left = upload.child("left").number("bytes", lowest=-(2**62))
        max_file_bytes = {media: limits.child(media).number("bytes") for media in limits.values}
        return cls(
            is_pro=None if pro is None else pro > 0,
            used_bytes=upload.child("used").number("bytes"),
            left_bytes=None if left is None else max(0, left),
            max_file_bytes={media: limit for media, limit in max_file_bytes.items() if limit},
            unlimited=upload.flag("unlimited"),
        )


@dataclass(frozen=True)
class Token:
    """Whose token it is and what it allows (``auth.checkToken``).

    The token itself is not kept here.

    :param permissions: area (``doc``, ``blog``, ...) -> ``none``, ``read``, ``write`` or
        ``delete``.
    """

    user_id: str
    username: str
    is_pro: bool
    lg: str | None
    permissions: Mapping[str, str]

    def allows(self, area: str, level: str) -> bool:
        """Return whether the token has at least this level in this area.

        A missing area means ``none``.
        """
        held = self.permissions.get(area, "none")
        return held in LEVELS and LEVELS.index(held) >= LEVELS.index(level)

    @classmethod
    def from_reply(cls, reply: Mapping[str, Any]) -> Token:
        auth = Members(reply, "auth.checkToken").child("auth", required=True)
        user = auth.child("user", required=True)
        # The documentation says `perms`, the live service `permissions`.
        permissions = auth.child("permissions") or auth.child("perms")
        return cls(
            user_id=user.required_id("user_id"),
            username=user.text("username", _LONGEST_NAME),
            is_pro=bool(user.number("is_pro")),
            lg=user.text("lg", _LONGEST_WORD) or None,
            permissions={
                area: permissions.text(area, _LONGEST_WORD) for area in permissions.values
            },
        )
