"""Bytes of a reply -> values, or the exception that they stand for.

The service's JSON is a dump of PHP arrays: scalars mostly come as strings but not reliably, an
empty container can be ``[]``, ``""``, ``false`` or absent, and errors arrive with HTTP 200 and
``text/plain``. So no header and no type is trusted here: each value is read as the type that it
must have, or is an error that names the member.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET  # nosec B405  # what it parses declares no entity
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ipernity_provider.api.errors import FILE_MAY_HAVE_ARRIVED, ReplyInvalid
from ipernity_provider.text import clean_text

Payload = dict[str, Any]
T = TypeVar("T")

#: The longest reply that is read, as it travels and inflated. 100 documents with all extras take
#: less than 1 MiB; decoded, the worst JSON takes 25 times its length.
MAX_REPLY_BYTES = 4 << 20
_LONGEST_XML = 64 << 10
#: The longest pause that a service may ask for, in seconds.
LONGEST_RETRY_AFTER = 6 * 3600.0

_LARGEST = 2**63
_LONGEST_TEXT = 64 << 10
_NUMBER = re.compile(r"[+-]?[0-9]{1,19}(\.[0-9]{1,20})?")
_ID = re.compile(r"[0-9]{1,20}")
_TICKET = re.compile(r"[0-9]+(-[0-9]+)*")
_MD5 = re.compile(r"[0-9a-f]{32}")
_EXTENSION = re.compile(r"[a-z0-9]{1,8}")
# An escaped backslash, a pair of surrogates, or half of one, which no encoder takes later.
_SURROGATES = re.compile(
    r"\\\\|\\u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})", re.ASCII
)


@dataclass(frozen=True)
class Answer:
    """What came back over the wire."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def retry_after(self) -> float | None:
        """The seconds to wait according to the header ``Retry-After``.

        Six hours at most; None if there is no usable value.
        """
        value = self.headers.get("Retry-After", "").strip()
        if re.fullmatch("[0-9]{1,12}", value):
            return min(float(value), LONGEST_RETRY_AFTER)
        if (until := http_date(value)) is None:
            return None
        # By the clock of the one who wrote both, where he wrote both.
        now = http_date(self.headers.get("Date")) or datetime.now(UTC).timestamp()
        return min(max(0.0, until - now), LONGEST_RETRY_AFTER)


def http_date(value: str | None) -> float | None:
    """Return the unix seconds of a date in a header; None if it cannot be read."""
    try:
        parsed = parsedate_to_datetime(value or "")
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None


def inflate(body: bytes, encoding: str) -> bytes | None:
    """Return the body without its compression, None if it is larger than a reply may be.

    A body that is not what ``encoding`` (the header ``Content-Encoding``) says is returned as it
    is.
    """
    if encoding.strip().lower() not in {"gzip", "x-gzip", "deflate"}:
        return body
    try:
        inflated = zlib.decompressobj(wbits=47).decompress(body, MAX_REPLY_BYTES + 1)
    except zlib.error:
        return body
    return inflated if len(inflated) <= MAX_REPLY_BYTES else None


def decode(body: bytes) -> Payload | None:
    """Return the reply's object if it is one of the service's own.

    Such a reply has a member ``api``, or ``api`` as its XML root.
    """
    text = body.decode("utf-8-sig", errors="replace")
    if text.lstrip().startswith("<"):
        return _decode_xml(text.strip()) if len(text) <= _LONGEST_XML else None
    if "\\u" in text:
        text = _SURROGATES.sub(lambda found: r"\ufffd" if found[1] else found[0], text)
    try:
        # An endless number stays text: it would take minutes to read, and the member that holds it
        # is named later.
        decoded = json.loads(
            text,
            parse_int=lambda digits: int(digits) if len(digits) < 20 else digits,
            parse_constant=str,
        )
    except (ValueError, RecursionError):
        return None
    return decoded if isinstance(decoded, dict) and "api" in decoded else None


def _decode_xml(text: str) -> Payload | None:
    """Return the root's attributes, and those of its children that contain only text.

    Such a reply is a refusal, or the ticket of an upload.
    """
    if not re.match(r"(<\?xml[^>]*\?>\s*)?<api[\s/>]", text) or "<!" in text:
        return None
    try:
        root = ET.fromstring(re.sub(r"^<\?xml[^>]*\?>", "", text))  # nosec B314  # noqa: S314 - no entity: see above
    except (SyntaxError, ValueError):
        return None
    children = {
        child.tag: child.text or "" for child in root if not len(child) and not child.attrib
    }
    return {**children, "api": dict(root.attrib)}


# -- tolerant readers, for what may be anything ----------------------------------------------------


def as_int(value: object) -> int | None:
    """Return a number that is given as a number, text or a flag; None for anything else."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float | str) and _NUMBER.fullmatch(text := str(value).strip()):
        number = int(text.partition(".")[0])
        return number if abs(number) < _LARGEST else None
    return None


def as_flag(value: object) -> bool:
    """Return whether a flag is ``1``, ``"1"`` or ``true``.

    Anything else, and a missing flag, is False.
    """
    return value in ("1", 1, "true")


def as_text(value: object) -> str:
    """Return a text or an id; empty for a missing one or a container."""
    return "" if value is None or isinstance(value, dict | list) else str(value)


def as_map(value: object) -> Payload:
    """Return an object; empty for the service's ``[]``, ``""`` or a missing member."""
    return dict(value) if isinstance(value, Mapping) else {}


# -- strict readers, for what is used further ------------------------------------------------------


def is_absent(value: object) -> bool:
    """Return whether a member has no value: missing, or one of the service's ways to write that."""
    return value is None or value is False or value in ("", [], {})


@dataclass(frozen=True)
class Members:
    """The members of one object of a reply, each read as what it must be.

    A member without a value is None (an empty text, False, an object without members). What has a
    value of another kind is an error that names the member: it is not silently taken for missing.

    :param values: the object; empty if it has no value itself.
    :param method: the API method that was called.
    :param path: where the object stands in the reply.
    :raises ReplyInvalid: (all methods) the member is not what it must be.
    """

    values: Mapping[str, Any]
    method: str
    path: str = ""

    def __bool__(self) -> bool:
        return bool(self.values)

    def child(self, name: str, *, required: bool = False) -> Members:
        """Return an object."""
        value = self.values.get(name)
        if is_absent(value) and not required:
            value = {}
        if not isinstance(value, Mapping) or (required and not value):
            raise self.invalid(name, "an object")
        return Members(value, self.method, self._path_of(name))

    def children(self, container: str, name: str) -> Iterator[Members]:
        """Yield the repeated child of a container.

        The service sends it as ``{"doc": [{...}]}``, as a single object, or not at all.
        """
        holder = self.child(container)
        value = holder.values.get(name)
        if isinstance(value, Mapping) and value:
            value = [value]
        if is_absent(value):
            value = []
        if not isinstance(value, list):
            raise holder.invalid(name, "a list")
        for number, item in enumerate(value):
            if not isinstance(item, Mapping):
                raise holder.invalid(name, "a list of objects")
            yield Members(item, self.method, f"{holder._path_of(name)}[{number}]")

    def text(self, name: str, longest: int = _LONGEST_TEXT) -> str:
        """Return a text, without control characters, cut after ``longest`` characters."""
        value = self.values.get(name)
        if is_absent(value):
            return ""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self.invalid(name, "text")
        return clean_text(str(value), longest)

    def number(self, name: str, lowest: int = 0) -> int | None:
        """Return a whole number from ``lowest`` up to 2**63."""
        value = self.values.get(name)
        if is_absent(value):
            return None
        number = None if isinstance(value, bool) else as_int(value)
        if number is None or number < lowest:
            raise self.invalid(name, f"a number from {lowest} up")
        return number

    def flag(self, name: str) -> bool:
        """Return a flag."""
        value = self.values.get(name)
        if is_absent(value) or value in ("0", 0, "false"):
            return False
        if not as_flag(value):
            raise self.invalid(name, "a flag, 0 or 1")
        return True

    def id(self, name: str) -> str | None:
        """Return the id of a document or a user: up to 20 digits, not zero."""

        def read(text: str) -> str | None:
            return text if _ID.fullmatch(text) else None

        found = self._read(name, "an id of up to 20 digits", read)
        return None if found is None or not found.strip("0") else found

    def required_id(self, name: str) -> str:
        """Return an id that must be there."""
        if (found := self.id(name)) is None:
            raise self.invalid(name, "an id of up to 20 digits")
        return found

    def ticket(self, name: str) -> str | None:
        """Return a ticket: groups of digits, joined by dashes."""

        def read(text: str) -> str | None:
            return text if len(text) <= 64 and _TICKET.fullmatch(text) else None

        return self._read(name, "a ticket of digits and dashes", read)

    def md5(self, name: str) -> str | None:
        """Return a checksum, in lower case."""

        def read(text: str) -> str | None:
            return text.lower() if _MD5.fullmatch(text.lower()) else None

        return self._read(name, "an MD5 checksum of 32 hex digits", read)

    def extension(self, name: str) -> str | None:
        """Return a file name extension, in lower case."""

        def read(text: str) -> str | None:
            return text.lower() if _EXTENSION.fullmatch(text.lower()) else None

        return self._read(name, "a file name extension", read)

    def url(self, name: str) -> str | None:
        """Return an http(s) address."""
        return self._read(
            name, "an http(s) address", lambda text: text if is_http_url(text) else None
        )

    def _read(self, name: str, expected: str, read: Callable[[str], T | None]) -> T | None:
        value = self.values.get(name)
        if is_absent(value):
            return None
        known = not isinstance(value, bool) and isinstance(value, str | int)
        if not known or (found := read(str(value))) is None:
            raise self.invalid(name, expected)
        return found

    def invalid(self, name: str, expected: str) -> ReplyInvalid:
        """Return the error that says what a member is not."""
        member, value = self._path_of(name), self.values.get(name)
        if is_absent(value):
            what = "is missing"
        elif isinstance(value, dict | list):
            what = f"is {'an object' if isinstance(value, dict) else 'a list'}, not {expected}"
        else:
            what = f"is {ascii(value)[:60]}, not {expected}"
        arrived = (
            f" {FILE_MAY_HAVE_ARRIVED}" if self.method in {"upload.file", "upload.replace"} else ""
        )
        return ReplyInvalid(
            f"{self.method}: the member {member} of the answer {what}. The answer was not"
            f" used.{arrived} Try again later; if it stays so, report it to the authors of this"
            " package.",
            member=member,
            method=self.method,
        )

    def _path_of(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


def is_http_url(text: str) -> bool:
    """Return whether a text is an http(s) address with a host.

    It must contain nothing that breaks a line or a header.
    """
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    printable = text.isprintable() and " " not in text
    return (
        parts.scheme in {"http", "https"}
        and bool(parts.hostname)
        and printable
        and len(text) <= 4096
    )
