"""Mishaps on order: the setting ``faults`` is a list of these, the first that fits a call is used up by it."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from ipernity_provider.sandbox.errors import ApiError

KINDS = "code:<n>, http:<status>, html, truncated, drop_before_reading, drop_after_accepting, slow:<seconds>"
_KIND = re.compile(
    r"code:\d{1,4}|http:[2-5]\d\d|html|truncated|drop_before_reading|drop_after_accepting|slow:\d{1,6}(\.\d+)?"
)

MAINTENANCE_PAGE = (
    "<!DOCTYPE html><html><head><title>ipernity</title></head>"
    "<body><h1>We'll be back soon</h1><p>The site is under maintenance.</p></body></html>"
)


class FaultError(ValueError):
    """An entry of the list cannot be understood."""


@dataclass(frozen=True)
class Fault:
    """One order: what happens, to which method, how many times.

    :param method: a method's name, or ``*`` for any.
    :param kind: one of :data:`KINDS`.
    :param times: how many calls it is for.
    :param after_accepting: for ``code``, ``http`` and ``html``: the call is handled and only its reply replaced.
    """

    method: str
    kind: str
    times: int = 1
    after_accepting: bool = False

    @classmethod
    def from_json(cls, entry: Any) -> Fault:
        names = {item.name for item in dataclasses.fields(cls)}
        if not isinstance(entry, dict) or not {"method", "kind"} <= entry.keys() <= names:
            raise FaultError("each fault is an object with method, kind and perhaps times, after_accepting")
        method, kind, times = entry["method"], entry["kind"], entry.get("times", 1)
        if not isinstance(method, str) or not method:
            raise FaultError('method is a method\'s name or "*"')
        if not isinstance(kind, str) or not _KIND.fullmatch(kind):
            raise FaultError(f"kind is one of {KINDS}")
        if isinstance(times, bool) or not isinstance(times, int) or times < 1:
            raise FaultError("times is a whole number of at least 1")
        if not isinstance(entry.get("after_accepting", False), bool):
            raise FaultError("after_accepting is true or false")
        return cls(**entry)

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @property
    def action(self) -> str:
        return self.kind.partition(":")[0]

    @property
    def argument(self) -> float:
        return float(self.kind.partition(":")[2] or 0)

    @property
    def replaces_handling(self) -> bool:
        """The call is read but never handled."""
        return self.action in {"code", "http", "html"} and not self.after_accepting


def take_fault(faults: tuple[Fault, ...], method: str) -> tuple[Fault | None, tuple[Fault, ...]]:
    """The fault that this call of ``method`` meets, and those that are left."""
    for position, fault in enumerate(faults):
        if fault.method in (method, "*"):
            spent = [] if fault.times == 1 else [dataclasses.replace(fault, times=fault.times - 1)]
            return fault, (*faults[:position], *spent, *faults[position + 1 :])
    return None, faults


def drop_connection(request: web.Request) -> web.Response:
    """Cut the connection with no byte of reply (the returned response has nowhere to go)."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def replacing_reply(fault: Fault, method: str) -> web.Response:
    """The answer of ``http`` and ``html``; ``code`` raises, so that it is encoded in the format asked for."""
    if fault.action == "code":
        raise ApiError(int(fault.argument), method)
    status = 200 if fault.action == "html" else int(fault.argument)
    if status in (204, 304):  # these have no body
        return web.Response(status=status)
    return web.Response(status=status, text=MAINTENANCE_PAGE, content_type="text/html")


async def spoil(fault: Fault, method: str, response: web.Response, request: web.Request) -> web.Response:
    """What becomes of the reply to a call that was handled."""
    if fault.action == "slow":
        await asyncio.sleep(fault.argument)
        return response
    if fault.action == "truncated":
        body = bytes(response.body) if isinstance(response.body, bytes | bytearray) else b""
        return web.Response(
            body=body[: len(body) // 2], headers={"Content-Type": response.headers["Content-Type"]}
        )
    if fault.action == "drop_after_accepting":
        return drop_connection(request)
    return replacing_reply(fault, method)
