"""Bytes of a reply -> payload, or the exception it stands for.

The service's JSON is a dump of PHP arrays: scalars mostly come as strings but not reliably, an empty container can be
``[]``, ``""`` or absent, and errors arrive with HTTP 200 and ``text/plain``. So nothing here trusts a header or a type.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ipernity_provider.api.errors import AnswerLost, IpernityError, PermanentError, RateLimited, api_error

Payload = dict[str, Any]


def parse_reply(method: str, status: int, body: bytes, subject: str = "") -> Payload:
    """The payload of a successful reply, the ``api`` envelope included.

    :param status: the HTTP status; it counts only where the body is not the service's own.
    :raises IpernityError: the typed error for an error reply, :class:`AnswerLost` for anything unreadable.
    """
    envelope = decode(body)
    if envelope is None:
        raise _not_the_service(method, status, body)
    api = as_map(envelope.get("api"))
    if api.get("status") == "ok":
        return envelope
    code = as_int(api.get("code"))
    if code is None:
        raise AnswerLost(
            f"{method}: the service's answer has neither a result nor an error code.", method=method
        )
    raise api_error(method, code, as_text(api.get("message")), subject)


def decode(body: bytes) -> Payload | None:
    """The reply's object if it is one of the service's: JSON with an ``api`` member."""
    try:
        decoded = json.loads(body.decode("utf-8", errors="replace"))
    except ValueError:
        return None
    return decoded if isinstance(decoded, dict) and "api" in decoded else None


def _not_the_service(method: str, status: int, body: bytes) -> IpernityError:
    start = body[:512].lstrip().lower()
    page = start.startswith((b"<!doctype", b"<html"))
    what = "a web page" if page else "nothing" if not body.strip() else "something unreadable or cut off"
    if status == 429:
        return RateLimited(f"{method}: too many calls (HTTP 429). Wait, or call less often.", method=method)
    if status >= 500:
        return AnswerLost(f"{method}: the service failed with HTTP {status}. Try again later.", method=method)
    if status >= 400:
        return PermanentError(
            f"{method}: refused with HTTP {status} and {what} instead of data. Check the connection's host and proxy, "
            "and that its extra does not switch `lg` off: the service seems to refuse calls without it.",
            method=method,
        )
    if status >= 300:
        return PermanentError(
            f"{method}: HTTP {status} sends the call to another address; it was not followed, for that would lose the "
            "posted data. Set the connection's host to the right address (https?).",
            method=method,
        )
    return AnswerLost(
        f"{method}: the answer is {what} instead of data (HTTP {status}): maintenance, or a proxy in between?",
        method=method,
    )


def as_int(value: object) -> int | None:
    """A number given as a number, a string or a flag; None for anything else."""
    try:
        return int(value)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError, OverflowError):
        pass
    try:
        return int(float(value))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None


def as_flag(value: object) -> bool:
    """A flag given as ``1``, ``"1"`` or ``true``; anything else, and a missing one, is False."""
    return value in ("1", 1, "true")


def as_text(value: object) -> str:
    """Text or an id; empty for a missing one or a container."""
    return "" if value is None or isinstance(value, dict | list) else str(value)


def as_map(value: object) -> Payload:
    """An object; empty for the service's ``[]``, ``""`` or a missing member."""
    return dict(value) if isinstance(value, Mapping) else {}


def as_list(container: object, name: str) -> list[Payload]:
    """The repeated child ``name`` of a container: ``{"doc": [{...}]}``, one object alone, or nothing at all."""
    children = as_map(container).get(name)
    if isinstance(children, Mapping):
        children = [children]
    return [as_map(child) for child in children] if isinstance(children, list) else []
