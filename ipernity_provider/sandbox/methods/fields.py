"""The fields of a document that a call can set: read from its parameters, and checked.

Shared by ``doc.set``, by the methods that set one of them, and by ``upload.file``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping

from ipernity_provider.sandbox.auth import AuthorizedCall
from ipernity_provider.sandbox.documents import FAMILY, FRIENDS, PUBLIC
from ipernity_provider.sandbox.parameters import FLAGS, PERMS, PLACE

Fields = dict[str, str | int | float | None]
"""Values by their names in :class:`Document`."""

LICENSES = (0, 1, 3, 5, 7, 9, 11, 255)
_CHOICES: Mapping[str, Collection[int]] = {
    "license": LICENSES,
    "safety": range(1, 4),
    "share": range(5),
    **dict.fromkeys(PERMS, range(6)),
}
"""The documented values of each number."""

ORIENTATIONS = (1, 3, 6, 8)
NO_PLACE = -999
_LIMITS = {"lat": 90, "lng": 180}
_DATE_TIME = re.compile(r"\d{4}-[01]\d-[0-3]\d [0-2]\d:[0-5]\d:[0-5]\d")


def read_fields(call: AuthorizedCall, names: Iterable[str], invalid_code: int) -> Fields:
    """Return those of the named fields that the call gives.

    :param names: parameters; the flags ``is_*`` become ``share``.
    :raises ApiError: ``invalid_code`` when a value is not one of those documented.
    """
    wanted, given = set(names), call.request.params
    fields: Fields = {
        name: given[name] for name in ("title", "description") if name in wanted & given.keys()
    }
    for name in sorted(wanted & given.keys() & _CHOICES.keys()):
        fields[name] = _choice(given[name], _CHOICES[name])
        if fields[name] is None:
            raise call.error(invalid_code)
    if wanted & given.keys() & set(FLAGS):
        if "share" in fields:  # two answers to one question
            raise call.error(invalid_code)
        fields["share"] = share_of_flags(call, invalid_code)
    if wanted & given.keys() & set(PLACE):
        fields |= _place(call, invalid_code)
    return fields


def share_of_flags(call: AuthorizedCall, invalid_code: int) -> int:
    """Return the code of the visibility that the flags ``is_*`` describe.

    ``upload.file`` takes each of them for itself, the other methods all three together.
    """
    flags = [call.request.params.get(name) for name in FLAGS]
    if call.request.method == "upload.file":
        flags = [flag or "0" for flag in flags]
    if not set(flags) <= {"0", "1"}:
        raise call.error(invalid_code)
    is_public, is_family, is_friend = (flag == "1" for flag in flags)
    return PUBLIC if is_public else FAMILY * is_family + FRIENDS * is_friend


def read_date_time(call: AuthorizedCall, name: str) -> str:
    """Return a local date and time, or an empty text when the call does not give it.

    :raises ApiError: 900 when it does not have the form ``YYYY-MM-DD HH:MM:SS``.
    """
    text = call.request.param(name)
    if text and not _DATE_TIME.fullmatch(text):
        raise call.unknown(f"{name} is not of the form YYYY-MM-DD HH:MM:SS")
    return text


def read_orientation(call: AuthorizedCall) -> int | None:
    """Return how a photo is turned, or None when the call does not say it.

    :raises ApiError: 900 when it is not one of the documented values, which are those of EXIF.
    """
    text = call.request.param("dir")
    if text and (orientation := _choice(text, ORIENTATIONS)) is None:
        raise call.unknown("dir is not 1, 3, 6 or 8")
    return orientation if text else None


def _choice(text: str, choices: Collection[int]) -> int | None:
    is_number = text.isascii() and text.isdigit() and len(text) <= 3
    return int(text) if is_number and int(text) in choices else None


def _place(call: AuthorizedCall, invalid_code: int) -> Fields:
    """Return latitude and longitude; None for both when they are -999, which means no place."""
    try:
        place = {name: float(call.request.param(name)) for name in PLACE}
    except ValueError:  # one of them is missing or not a number
        raise call.error(invalid_code) from None
    if set(place.values()) == {NO_PLACE}:
        return dict.fromkeys(PLACE)
    for name, degrees in place.items():
        if not (math.isfinite(degrees) and abs(degrees) <= _LIMITS[name]):
            raise call.error(invalid_code)
    return dict(place)
