"""What the calls return, as frozen dataclasses, and a document's number however it is written.

The annotation of a field names the kind of value that :func:`.parsing.parse` accepts for it, and
its place in the reply. Models that a program makes itself are not checked.

>>> read_doc_id(" 0005412 ")
'5412'
>>> read_doc_id("https://www.ipernity.com/doc/1234/5412/in/album/99?lg=en")
'5412'
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral
from typing import Annotated, Literal
from urllib.parse import urlsplit

from ipernity_provider.api.parsing import (
    ESTIMATE,
    EXTENSION,
    FLAG,
    HTTP_URL,
    ID,
    MD5,
    NAME,
    NUMBER,
    TEXT,
    TICKET,
    WORD,
    Kind,
    as_text,
    read_flag,
    read_number,
)
from ipernity_provider.text import display

MediaClass = Literal["photo", "audio", "video", "other"]
TicketState = Literal["pending", "done", "invalid", "unknown"]

MAX_DOCUMENTS_PER_PAGE = 100
#: Permission levels, each containing those before it.
LEVELS = ("none", "read", "write", "delete")

_DATE_AND_TIME = re.compile(r"(?!0000)[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")

_INVALID = Kind(FLAG.expected, lambda value: "invalid" if read_flag(value) else None)
_DONE = Kind(FLAG.expected, lambda value: "done" if read_flag(value) else None)
_IS_PRO = Kind(NUMBER.expected, lambda value: read_number(value) > 0)
_LIMIT = Kind(NUMBER.expected, lambda value: read_number(value) or None)
# An account that has used more than its volume may have less than nothing left.
_LEFT = Kind("a number", lambda value: max(0, read_number(value, -(2**62))))
# Nothing depends on it but a proposal, so what cannot be read is no worse than none.
_CREATED = Kind(
    "a date and a time",
    lambda value: text if _DATE_AND_TIME.fullmatch(text := as_text(value)) else None,
)


@dataclass(frozen=True)
class Ticket:
    """The state of one upload (``upload.checkTickets``).

    :param state: ``done`` and ``invalid`` are final; ``unknown`` means that the service does not
        know the ticket. One that is both done and invalid is undocumented and counts as invalid.
    :param eta: the service's guess of the seconds left, which is unreliable; None without one.
    :param doc_id: the resulting document, once done.
    """

    id: Annotated[str, TICKET]
    state: Annotated[TicketState, _INVALID.at("invalid"), _DONE.at("done")] = "pending"
    eta: Annotated[int | None, ESTIMATE] = None
    doc_id: Annotated[str | None, ID] = None

    @property
    def pending(self) -> bool:
        return self.state == "pending"


@dataclass(frozen=True)
class Upload:
    """What an upload call returned: a ticket (``async=1``), a document (``async=0``), or both."""

    ticket: Annotated[str | None, TICKET] = None
    doc_id: Annotated[str | None, ID] = None


@dataclass(frozen=True)
class Media:
    """One file of a document: its original or a rendition."""

    label: Annotated[str, WORD] = ""
    url: Annotated[str | None, HTTP_URL] = None
    filename: Annotated[str | None, NAME] = None
    bytes: Annotated[int | None, NUMBER] = None
    ext: Annotated[str | None, EXTENSION.at("ext", "format")] = None
    md5: Annotated[str | None, MD5] = None


@dataclass(frozen=True)
class Thumbnail:
    """A small picture of a document (``doc.get``); its width in pixels is 0 where it is unknown."""

    url: Annotated[str | None, HTTP_URL] = None
    width: Annotated[int, NUMBER.at("w")] = 0


@dataclass(frozen=True)
class Medias:
    """The files of a document (``doc.getMedias``).

    :param doc_id: None where the service does not repeat it.
    :param original: None where the caller may not see it.
    :param renditions: the renditions of a video or audio document.
    """

    doc_id: Annotated[str | None, ID] = None
    original: Media | None = None
    renditions: tuple[Media, ...] = ()


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

    doc_id: Annotated[str, ID]
    media: Annotated[str, WORD] = ""
    title: Annotated[str, TEXT] = ""
    owner_id: Annotated[str, ID.at("owner.user_id")] = ""
    link: Annotated[str | None, HTTP_URL] = None
    md5: Annotated[str | None, MD5.at("md5", "original.md5")] = None
    bytes: Annotated[int | None, NUMBER.at("original.bytes")] = None
    filename: Annotated[str | None, NAME.at("original.filename")] = None
    posted_at: Annotated[int, NUMBER.at("dates.posted_at")] = 0
    replaced_at: Annotated[int, NUMBER.at("dates.replaced_at")] = 0
    asked_at: Annotated[int | None, NUMBER.at("/api.at")] = None
    created: Annotated[str | None, _CREATED.at("dates.created")] = None


@dataclass(frozen=True)
class DocumentPage:
    """One page of a list of documents (``doc.getList``, ``doc.search``).

    What cannot be read of the counts is no worse than what is missing: an empty page ends the list,
    too.

    :param page: the page that was asked for, from 1; an empty list reports page 1 of 0.
    :param total: how many documents the whole list has; None where the service does not say.
    """

    documents: tuple[Document, ...] = ()
    page: int = 1
    total: Annotated[int | None, ESTIMATE.at("docs.total")] = None
    pages: Annotated[int | None, ESTIMATE.at("docs.pages")] = None
    per_page: Annotated[int | None, ESTIMATE.at("docs.per_page")] = None

    @property
    def is_last(self) -> bool:
        """Whether no page follows.

        Where the service does not say how many there are, only an empty page is the last one.
        """
        pages = self.pages
        if pages is None and self.total is not None:
            pages = -(-self.total // (self.per_page or MAX_DOCUMENTS_PER_PAGE))
        return not self.documents or (pages is not None and self.page >= pages)


@dataclass(frozen=True)
class Match:
    """A document with a checksum that was asked for (``doc.checkMD5``)."""

    md5: Annotated[str | None, MD5] = None
    doc_id: Annotated[str | None, ID] = None


@dataclass(frozen=True)
class Quota:
    """What the account may still upload (``account.getQuota``), in bytes.

    :param is_pro: None where the service does not say.
    :param left_bytes: of this month's volume; None where the service does not say.
    :param max_file_bytes: by media class; a class that is missing has no known limit.
    :param unlimited: the account has no monthly volume; ``left_bytes`` is then below a ceiling that
        the service raises by itself.
    """

    is_pro: Annotated[bool | None, _IS_PRO] = None
    used_bytes: Annotated[int | None, NUMBER.at("upload.used.bytes")] = None
    left_bytes: Annotated[int | None, _LEFT.at("upload.left.bytes")] = None
    max_file_bytes: Annotated[Mapping[str, int], _LIMIT.at("maxfilesize.*.bytes")] = field(
        default_factory=dict
    )
    unlimited: Annotated[bool, FLAG.at("upload.unlimited")] = False

    @property
    def spendable_bytes(self) -> int | None:
        """The bytes that uploads may still use this month.

        None if there is no limit, or if the service does not report it.
        """
        return None if self.unlimited else self.left_bytes


@dataclass(frozen=True)
class Token:
    """Whose token it is and what it allows (``auth.checkToken``).

    The token itself is not kept here.

    :param permissions: area (``doc``, ``blog``, ...) -> ``none``, ``read``, ``write`` or
        ``delete``.
    """

    user_id: Annotated[str, ID.at("user.user_id")]
    username: Annotated[str, NAME.at("user.username")] = ""
    is_pro: Annotated[bool, _IS_PRO.at("user.is_pro")] = False
    lg: Annotated[str | None, WORD.at("user.lg")] = None
    # The documentation says `perms`, the live service `permissions`.
    permissions: Annotated[Mapping[str, str], WORD.at("permissions.*", "perms.*")] = field(
        default_factory=dict
    )

    def allows(self, area: str, level: str) -> bool:
        """Return whether the token has at least this level in this area.

        A missing area means ``none``.
        """
        held = self.permissions.get(area, "none")
        return held in LEVELS and LEVELS.index(held) >= LEVELS.index(level)


# -- a document's number, however a person or a program writes it ----------------------------------

_DIGITS = 20
#: Floats hold no whole numbers beyond this one exactly.
_EXACT_FLOATS = 2**53
#: What holds numbers as floats writes ``5412.0``. More zeros are not accepted: ``5.000`` is 5000 in
#: many countries.
_NUMBER = re.compile(r"0*([1-9][0-9]*)(?:\.0)?", re.ASCII)
_SERVICE = "ipernity.com"
_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})
_PORTS = {"http": 80, "https": 443}

_brief = reprlib.Repr()
_brief.maxstring = _brief.maxother = 60


def read_doc_id(given: object, base_url: str | None = None) -> str:
    """Return the number of the document that is meant, in ASCII digits without leading zeros.

    :param given: the number, as text or as a number, or the address of the document's page
        (``https://www.ipernity.com/doc/<user>/<number>``, whatever follows).
    :param base_url: the service's address in the connection; None for the usual one. Pages there
        are accepted, too.
    :raises ValueError: it is neither. The text continues a sentence that begins with the name of
        the value, such as ``is 'boat', which is not a document's number such as 5412``.
    """
    if given is None or (isinstance(given, str) and not given.strip()):
        raise ValueError("is missing")
    text = given.strip() if isinstance(given, str) else _digits_of(given)
    if "/" in text:
        return _number_in_address(text, base_url)
    number = _NUMBER.fullmatch(text)
    if not number or len(number[1]) > _DIGITS:
        raise ValueError(f"is {_quoted(given)}, which is not a document's number such as 5412")
    return number[1]


def _digits_of(given: object) -> str:
    """Return a whole number above 0 as text.

    The text is empty for anything else, and for a float so large that it has lost digits.
    """
    if isinstance(given, bool) or not isinstance(given, Integral | float):
        return ""
    number = given if isinstance(given, float) else int(given)
    limit = _EXACT_FLOATS if isinstance(given, float) else 10**_DIGITS
    return str(int(number)) if 0 < number < limit and number == int(number) else ""


def _number_in_address(text: str, base_url: str | None) -> str:
    try:
        scheme, site, parts = _split(text)
        known = base_url is not None and site == _split(base_url)[1]
    except ValueError:
        raise ValueError(f"is {_quoted(text)}, which is not an address") from None
    host, _ = site
    known = known or host == _SERVICE or host.endswith(f".{_SERVICE}")
    if scheme not in _PORTS or not known:
        raise ValueError(f"is {_quoted(text)}, an address of another site than {_SERVICE}")
    # An album's address has a number at its end, too: /doc/<user>/album/<number>.
    number = parts[2] if len(parts) > 2 and parts[0] == "doc" else ""
    if not (_NUMBER.fullmatch(number) and number.isdigit() and len(number) <= _DIGITS):
        raise ValueError(
            f"is {_quoted(text)}, which is not a document's page: that is /doc/<user>/<number>"
        )
    return number.lstrip("0")


def _split(address: str) -> tuple[str, tuple[str, int | None], list[str]]:
    """Return scheme, site (host and port) and path parts of an address.

    The address may lack its scheme.
    """
    if (
        not address.isprintable() or " " in address
    ):  # the library leaves line breaks out, and digits join
        raise ValueError
    url = urlsplit(address if "://" in address else f"https://{address}")
    host = (url.hostname or "").rstrip(".")
    site = "localhost" if host in _THIS_MACHINE else host, url.port or _PORTS.get(url.scheme)
    return url.scheme, site, [part for part in url.path.split("/") if part]


def _quoted(given: object) -> str:
    """Return a value for a sentence: cut short, and an address without its query."""
    if isinstance(given, int) and abs(given) >= 10**_DIGITS:
        return f"a number of more than {_DIGITS} digits"  # Python refuses to write the longest
    return _brief.repr(display(given) if isinstance(given, str) else given)
