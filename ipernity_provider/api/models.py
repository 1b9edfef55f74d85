"""What the calls return, as frozen dataclasses; each is read defensively from a reply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ipernity_provider.api.reply import as_flag, as_int, as_list, as_map, as_text

MediaClass = Literal["photo", "audio", "video", "other"]
TicketState = Literal["pending", "done", "invalid", "unknown"]

#: Permission levels, each containing those before it.
LEVELS = ("none", "read", "write", "delete")


@dataclass(frozen=True)
class Ticket:
    """The state of one upload (``upload.checkTickets``).

    :param state: ``done`` and ``invalid`` are final; ``unknown`` means that the service does not know the ticket.
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
    def from_payload(cls, payload: Mapping[str, Any]) -> Ticket:
        """A ticket that is both done and invalid is undocumented and counts as invalid."""
        invalid, done = as_flag(payload.get("invalid")), as_flag(payload.get("done"))
        return cls(
            id=as_text(payload.get("id")),
            state="invalid" if invalid else "done" if done else "pending",
            eta=as_int(payload.get("eta")),
            doc_id=as_text(payload.get("doc_id")) or None,
        )


@dataclass(frozen=True)
class Upload:
    """What an upload call returned: a ticket (``async=1``), a document (``async=0``), or both."""

    ticket: str | None
    doc_id: str | None


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
    def from_payload(cls, payload: Mapping[str, Any], label: str = "") -> Media:
        return cls(
            label=as_text(payload.get("label")) or label,
            url=as_text(payload.get("url")) or None,
            filename=as_text(payload.get("filename")) or None,
            bytes=as_int(payload.get("bytes")),
            ext=as_text(payload.get("ext") or payload.get("format")) or None,
            md5=as_text(payload.get("md5")).lower() or None,
        )


@dataclass(frozen=True)
class Document:
    """A document as it is now (``doc.get``).

    :param md5: of the stored bytes, lower-case hex; None where the service does not say. No page tells which member
        carries it, so both likely places are read.
    :param bytes: size of the stored original; None where the caller may not see it.
    :param replaced_at: unix seconds of the last replacement; 0 if there was none or the service does not say.
    :param asked_at: unix seconds at the service when it answered; None where it did not say.
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

    @classmethod
    def from_reply(cls, reply: Mapping[str, Any]) -> Document:
        doc = as_map(reply.get("doc"))
        dates = as_map(doc.get("dates"))
        original = Media.from_payload(as_map(doc.get("original")))
        return cls(
            doc_id=as_text(doc.get("doc_id")),
            media=as_text(doc.get("media")),
            title=as_text(doc.get("title")),
            owner_id=as_text(as_map(doc.get("owner")).get("user_id")),
            link=as_text(doc.get("link")) or None,
            md5=as_text(doc.get("md5")).lower() or original.md5,
            bytes=original.bytes,
            filename=original.filename,
            posted_at=as_int(dates.get("posted_at")) or 0,
            replaced_at=as_int(dates.get("replaced_at")) or 0,
            asked_at=as_int(as_map(reply.get("api")).get("at")),
        )


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
        original = as_map(reply.get("original"))
        return cls(
            original=Media.from_payload(original, "original") if original else None,
            renditions=tuple(map(Media.from_payload, as_list(reply.get("medias"), "media"))),
        )


@dataclass(frozen=True)
class Quota:
    """What the account may still upload (``account.getQuota``), in bytes.

    :param is_pro: None where the service does not say.
    :param left_bytes: of this month's volume; None where the service does not say.
    :param max_file_bytes: by media class; a class that is missing has no known limit.
    :param unlimited: the account has no monthly volume; ``left_bytes`` is then below a ceiling that the service raises by
        itself.
    """

    is_pro: bool | None
    used_bytes: int | None
    left_bytes: int | None
    max_file_bytes: Mapping[str, int]
    unlimited: bool = False

    @property
    def spendable_bytes(self) -> int | None:
        """What uploads may use up this month; None where there is no limit to count with, or the service does not say."""
        return None if self.unlimited else self.left_bytes

    @classmethod
    def from_reply(cls, reply: Mapping[str, Any]) -> Quota:
        quota = as_map(reply.get("quota"))
        upload = as_map(quota.get("upload"))
        limits = {
            media: as_int(as_map(limit).get("bytes"))
            for media, limit in as_map(quota.get("maxfilesize")).items()
        }
        return cls(
            is_pro=None if (pro := as_int(quota.get("is_pro"))) is None else pro > 0,
            used_bytes=as_int(as_map(upload.get("used")).get("bytes")),
            left_bytes=as_int(as_map(upload.get("left")).get("bytes")),
            max_file_bytes={media: limit for media, limit in limits.items() if limit},
            unlimited=as_flag(upload.get("unlimited")),
        )


@dataclass(frozen=True)
class Token:
    """Whose token it is and what it allows (``auth.checkToken``); the token itself is not kept here.

    :param permissions: area (``doc``, ``blog``, ...) -> ``none``, ``read``, ``write`` or ``delete``.
    """

    user_id: str
    username: str
    is_pro: bool
    lg: str | None
    permissions: Mapping[str, str]

    def allows(self, area: str, level: str) -> bool:
        """Whether the token has at least this level in this area; a missing area means ``none``."""
        held = self.permissions.get(area, "none")
        return held in LEVELS and LEVELS.index(held) >= LEVELS.index(level)

    @classmethod
    def from_reply(cls, reply: Mapping[str, Any]) -> Token:
        auth = as_map(reply.get("auth"))
        user = as_map(auth.get("user"))
        # The documentation says `perms`, the live service `permissions`.
        permissions = as_map(auth.get("permissions")) or as_map(auth.get("perms"))
        return cls(
            user_id=as_text(user.get("user_id")),
            username=as_text(user.get("username")),
            is_pro=as_flag(user.get("is_pro")),
            lg=as_text(user.get("lg")) or None,
            permissions={area: as_text(level) for area, level in permissions.items()},
        )
