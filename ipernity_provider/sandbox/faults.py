"""Fault injection: a call uses up the first fault in the setting ``faults`` that fits it."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from ipernity_provider.sandbox.errors import ApiError
from ipernity_provider.sandbox.parameters import PARAMETERS

KINDS = """
code:<n>, http:<status>, html, truncated, slow:<seconds>, drop_before_reading, drop_after_accepting
""".strip()
_KIND = re.compile(
    r"code:\d{1,4}|http:[2-5]\d\d|html|truncated|drop_before_reading|drop_after_accepting"
    r"|slow:\d{1,6}(\.\d+)?"
)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
_OWN_HEADERS = {"connection", "content-length", "transfer-encoding", "upgrade"}
"""Headers that frame the answer; the server sets them."""

MAINTENANCE_PAGE = (
    "<!DOCTYPE html><html><head><title>ipernity</title></head>"
    "<body><h1>We'll be back soon</h1><p>The site is under maintenance.</p></body></html>"
)


class FaultError(ValueError):
    """An entry of the list cannot be understood."""


@dataclass(frozen=True)
class Fault:
    """What happens, to which method, how many times.

    :param method: a method's name, or ``*`` for any.
    :param kind: one of :data:`KINDS`.
    :param times: how many calls it applies to.
    :param after_accepting: for ``code``, ``http`` and ``html``: handle the call, replace its reply.
    :param headers: for ``http`` and ``html``: headers of the reply.
    """

    method: str
    kind: str
    times: int = 1
    after_accepting: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, entry: Any) -> Fault:
        """Return the fault that an entry of the setting describes.

        :raises FaultError: with the first thing that is wrong.
        """
        names = [item.name for item in dataclasses.fields(cls)]
        if not isinstance(entry, dict) or not {"method", "kind"} <= entry.keys() <= set(names):
            optional = ", ".join(names[2:])
            raise FaultError(f"each fault is an object with method, kind and perhaps {optional}")
        method, kind, times = entry["method"], entry["kind"], entry.get("times", 1)
        if not isinstance(method, str) or method not in {*PARAMETERS, "*"}:
            raise FaultError(f'method is "*" or the name of an emulated method, not {method!a}')
        if not isinstance(kind, str) or not _KIND.fullmatch(kind):
            raise FaultError(f"kind is one of {KINDS}")
        if isinstance(times, bool) or not isinstance(times, int) or times < 1:
            raise FaultError("times is a whole number of at least 1")
        if not isinstance(entry.get("after_accepting", False), bool):
            raise FaultError("after_accepting is true or false")
        fault = cls(**entry)
        if entry.get("after_accepting") and not fault.has_own_reply:
            raise FaultError("after_accepting goes with the kinds code, http and html only")
        _check_headers(fault)
        return fault

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @property
    def action(self) -> str:
        return self.kind.partition(":")[0]

    @property
    def argument(self) -> float:
        return float(self.kind.partition(":")[2] or 0)

    @property
    def has_own_reply(self) -> bool:
        return self.action in {"code", "http", "html"}

    @property
    def replaces_handling(self) -> bool:
        """The call is read but never handled."""
        return self.has_own_reply and not self.after_accepting


def _check_headers(fault: Fault) -> None:
    """Check the headers of a fault.

    :raises FaultError: with the first thing that is wrong.
    """
    headers = fault.headers
    if not isinstance(headers, dict):
        raise FaultError("headers is an object of names and texts")
    if headers and fault.action not in {"http", "html"}:
        raise FaultError("headers goes with the kinds http and html only")
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OWN_HEADERS:
            raise FaultError(f"headers does not contain {name!a}")
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            raise FaultError(f"the header {name!a} is one line of ASCII text")


def take_fault(faults: tuple[Fault, ...], method: str) -> tuple[Fault | None, tuple[Fault, ...]]:
    """Return the fault for this call of ``method``, and the faults that remain."""
    for position, fault in enumerate(faults):
        if fault.method in (method, "*"):
            left = dataclasses.replace(fault, times=fault.times - 1)
            kept = [] if fault.times == 1 else [left]
            return fault, (*faults[:position], *kept, *faults[position + 1 :])
    return None, faults


def drop_connection(request: web.Request) -> web.Response:
    """Close the connection without a byte of reply; the returned response goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def fault_reply(fault: Fault, method: str) -> web.Response:
    """Return the reply of a fault of the kind ``http`` or ``html``.

    :raises ApiError: for the kind ``code``: the caller encodes it in the requested format.
    """
    if fault.action == "code":
        raise ApiError(int(fault.argument), method)
    status = 200 if fault.action == "html" else int(fault.argument)
    has_body = status not in (204, 205, 304)
    response = web.Response(status=status, text=MAINTENANCE_PAGE if has_body else None)
    response.content_type = "text/html"
    response.headers.update(fault.headers)
    return response


async def apply_fault(
    fault: Fault, method: str, response: web.Response, request: web.Request
) -> web.Response:
    """Return what the fault makes of the reply to a call that was handled."""
    if fault.action == "slow":
        await asyncio.sleep(fault.argument)
        return response
    if fault.action == "truncated":
        body = bytes(response.body) if isinstance(response.body, bytes | bytearray) else b""
        headers = {"Content-Type": response.headers["Content-Type"]}
        return web.Response(body=body[: len(body) // 2], headers=headers)
    if fault.action == "drop_after_accepting":
        return drop_connection(request)
    return fault_reply(fault, method)
