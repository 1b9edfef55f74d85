"""Bytes of a reply -> values, or an error that names the member.

The service's JSON is a dump of PHP arrays: scalars mostly come as strings but not reliably, an
empty container can be ``[]``, ``""``, ``false`` or absent, and errors arrive with HTTP 200 and
``text/plain``. So no header and no type is trusted here: each value is read as the kind that its
field in :mod:`.models` names. A member without a value leaves the field at its default; a value of
another kind is an error, and is not silently taken for missing.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET  # nosec B405  # what it parses declares no entity
from collections.abc import Callable, Container, Hashable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import cache, partial
from typing import Any, TypeVar, get_type_hints
from urllib.parse import urlsplit

from ipernity_provider.api.errors import FILE_MAY_HAVE_ARRIVED, ReplyInvalid
from ipernity_provider.text import clean_text

Payload = dict[str, Any]
M = TypeVar("M")

#: The longest reply that is read, as it travels and inflated. 100 documents with all extras take
#: less, and hold about 15,000 values. Decoded, a small value takes up to 60 times its
#: length, so the number of values is limited, too: a reply takes less than 16 MiB of memory.
MAX_REPLY_BYTES = 1 << 20
_MOST_VALUES = 40_000
_SIGNS_OF_A_VALUE = ",[{"
_LONGEST_XML = 64 << 10
_LARGEST = 2**63
_DIGITS = re.compile("[0-9]{1,20}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,19}(\.[0-9]{1,20})?")
# An escaped backslash, a pair of surrogates, or half of one, which no encoder takes later.
_SURROGATES = re.compile(
    r"\\\\|\\u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})", re.ASCII
)


def decode(body: bytes) -> Payload | None:
    """Return the reply's object if it is one of the service's own.

    Such a reply has a member ``api``, or ``api`` as its XML root.
    """
    text = body.decode("utf-8-sig", errors="replace")
    if text.lstrip().startswith("<"):
        return _decode_xml(text.strip()) if len(text) <= _LONGEST_XML else None
    if sum(map(text.count, _SIGNS_OF_A_VALUE)) > _MOST_VALUES:
        return None
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
    """Return a whole number that is given as a number or as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if not _NUMBER.fullmatch(text := str(value).strip()):
        return None
    number = int(text.partition(".")[0])
    return number if abs(number) < _LARGEST else None


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


def http_date(value: str | None) -> float | None:
    """Return the unix seconds of a date in a header; None if it cannot be read."""
    try:
        parsed = parsedate_to_datetime(value or "")
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None


# -- the kinds of members --------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """What a member of a reply can be; stands in the annotation of a field.

    :param expected: the words for it, where something else was found.
    :param read: returns the value, or None for one that stands for none; raises TypeError or
        ValueError for anything else.
    :param places: where it is within the model's object: names joined by dots, ``*`` for each
        member of an object, ``/`` first for a place in the whole reply. The first one that has a
        value counts. None stands for the name of the field.
    """

    expected: str
    read: Callable[[Any], Any]
    places: tuple[str, ...] = ()

    def at(self, *places: str) -> Kind:
        return replace(self, places=places)


def _read_form(value: object, form: re.Pattern[str]) -> str:
    """Return a text of one form, in lower case."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError
    text = str(value).lower()
    if not form.fullmatch(text):
        raise ValueError
    return text


def read_http_url(value: object) -> str:
    """Return an http(s) address with a host that contains nothing that breaks a line or a header.

    :raises ValueError: it is not one.
    """
    if not isinstance(value, str) or not value.isprintable() or len(value) > 4096:
        raise ValueError
    parts = urlsplit(value)
    _ = parts.port
    if " " in value or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError
    return value


def read_number(value: object, lowest: int = 0) -> int:
    """Return a whole number up to 2**63; raise ValueError for anything else."""
    number = as_int(value)
    if number is None or number < lowest:
        raise ValueError
    return number


def read_flag(value: object) -> bool:
    """Return a flag; raise ValueError for anything else."""
    if value not in ("0", 0, "false", "1", 1, "true"):
        raise ValueError
    return value in ("1", 1, "true")


def _read_text(value: object, longest: int) -> str | None:
    """Return a text without control characters, cut off."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError
    return clean_text(str(value), longest) or None


def _read_object(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError
    return value


def _read_objects(value: object) -> Sequence[Mapping[str, Any]]:
    """Return a list of objects, which may come as a single object without its list."""
    objects = [value] if isinstance(value, Mapping) else value
    if not isinstance(objects, list) or not all(isinstance(one, Mapping) for one in objects):
        raise ValueError
    return objects


ID = Kind(
    "an id of up to 20 digits",
    lambda value: found if (found := _read_form(value, _DIGITS)).strip("0") else None,
)
TICKET = Kind(
    "a ticket of digits and dashes",
    partial(_read_form, form=re.compile("(?!.{65})[0-9]+(-[0-9]+)*")),
)
MD5 = Kind("an MD5 checksum of 32 hex digits", partial(_read_form, form=re.compile("[0-9a-f]{32}")))
EXTENSION = Kind("a file name extension", partial(_read_form, form=re.compile("[a-z0-9]{1,8}")))
HTTP_URL = Kind("an http(s) address", read_http_url)
NUMBER = Kind("a number from 0 up", read_number)
FLAG = Kind("a flag, 0 or 1", read_flag)
#: What cannot be read is no worse than none.
ESTIMATE = Kind("a number", as_int)
TEXT = Kind("text", partial(_read_text, longest=64 << 10))
NAME = Kind("text", partial(_read_text, longest=1024))
WORD = Kind("text", partial(_read_text, longest=32))
_OBJECT = Kind("an object", _read_object)
_OBJECTS = Kind("a list of objects", _read_objects)


# -- replies as models -----------------------------------------------------------------------------


def parse(
    model: type[M],
    reply: Mapping[str, Any],
    method: str,
    at: str = "",
    *,
    asked_for: tuple[str, Container[Any]] | None = None,
) -> M:
    """Return an object of a reply as a model: a dataclass whose annotations name kinds.

    A field without a default must have a value.

    :param method: the API method that was called.
    :param at: the place of the object, which must be there; empty for the reply itself.
    :param asked_for: a field, and the values that it may have: another one means that a cache or a
        proxy has mixed up answers.
    :raises ReplyInvalid: a member is not what it must be.
    """
    members = _find(_OBJECT, reply, at.split("."), method, "", required=True) if at else reply
    return _build(model, members, method, at, reply, asked_for)


def parse_all(
    model: type[M],
    reply: Mapping[str, Any],
    method: str,
    at: str,
    *,
    asked_for: tuple[str, Container[Any]] | None = None,
) -> list[M]:
    """Return the repeated objects at one place of a reply as models.

    The service sends them as ``{"doc": [{...}]}``, as a single object, or not at all.

    The parameters are those of :func:`parse`.
    """
    found = _find(_OBJECTS, reply, at.split("."), method, "") or []
    return [
        _build(model, members, method, f"{at}[{number}]", {}, asked_for)
        for number, members in enumerate(found)
    ]


def _build(
    model: type[M],
    members: Mapping[str, Any],
    method: str,
    path: str,
    reply: Mapping[str, Any],
    asked_for: tuple[str, Container[Any]] | None,
) -> M:
    values: dict[str, Any] = {}
    places = _places_of(model)  # type: ignore[arg-type]
    for name, required, kind, place in places:
        if place.startswith("/"):
            found = _find(kind, reply, place[1:].split("."), method, "")
        else:
            found = _find(kind, members, place.split("."), method, path, required)
        if found is not None:
            values.setdefault(name, found)
    built = model(**values)
    if asked_for and getattr(built, asked_for[0]) not in asked_for[1]:
        place = next(place for name, _, _, place in places if name == asked_for[0])
        member = f"{path}.{place}" if path else place
        raise _invalid(method, member, getattr(built, asked_for[0]), "what was asked for")
    return built


@cache
def _places_of(model: Hashable) -> list[tuple[str, bool, Kind, str]]:
    """Return the fields of a model: name, whether it is required, kind, and place.

    A field that may be in several places comes once for each.
    """
    hints = get_type_hints(model, include_extras=True)
    return [
        (field.name, field.default is MISSING and field.default_factory is MISSING, kind, place)
        for field in fields(model)  # type: ignore[arg-type]
        for kind in getattr(hints[field.name], "__metadata__", ())
        for place in kind.places or (field.name,)
    ]


def _find(
    kind: Kind,
    value: Any,
    steps: Sequence[str],
    method: str,
    path: str,
    required: bool = False,
) -> Any:
    """Return the member that the steps lead to from a value, None if it has no value.

    :param path: where ``value`` is in the reply; empty for the reply itself.
    """
    # The service's ways to write that there is nothing.
    absent = value is None or value is False or value in ("", [], {})
    if steps and (not absent or not path):
        if not isinstance(value, Mapping):
            raise _invalid(method, path, value, "an object")
        step, *rest = steps
        if step != "*":
            return _find(
                kind, value.get(step), rest, method, f"{path}.{step}".lstrip("."), required
            )
        found = {
            name: _find(kind, member, rest, method, f"{path}.{clean_text(name, 32)}")
            for name, member in value.items()
        }
        return {name: member for name, member in found.items() if member is not None}
    try:
        read = None if absent else kind.read(value)
    except (TypeError, ValueError):
        raise _invalid(method, path, value, kind.expected) from None
    if read is None and required:
        raise _invalid(method, path, value, kind.expected)
    return read


def _invalid(method: str, member: str, value: object, expected: str) -> ReplyInvalid:
    """Return the error that says what a member is not."""
    if value is None or value is False or value in ("", [], {}):
        what = "is missing"
    elif isinstance(value, dict | list):
        what = f"is {'an object' if isinstance(value, dict) else 'a list'}, not {expected}"
    else:
        what = f"is {ascii(value)[:60]}, not {expected}"
    arrived = f" {FILE_MAY_HAVE_ARRIVED}" if method in {"upload.file", "upload.replace"} else ""
    return ReplyInvalid(
        f"{method}: the member {member} of the answer {what}. The answer was not used.{arrived}"
        " Try again later; if it stays so, report it to the authors of this package.",
        member=member,
        method=method,
    )
