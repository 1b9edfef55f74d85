"""Answers with an end: a total time and a number of bytes, whatever the other side sends.

The time limit of an HTTP library holds for each read of the socket, so that a byte every few
seconds keeps a call for ever: in the headers, in the body, or in any number of ``100 Continue``.
Here every read of an answer goes through one object that knows when the whole answer must be there.
It needs no thread, and costs one more Python call for each read.

The same connections say which address they have reached, before anything is sent to it.
"""

from __future__ import annotations

import http.client
import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any

from requests.adapters import HTTPAdapter


@dataclass(frozen=True)
class AnswerLimits:
    """How much of an answer is waited for.

    :param seconds: for all of it, from the end of the request.
    :param bytes: of its headers and its body as they travel; None for any number.
    """

    seconds: float
    bytes: int | None = None


class AnswerTooLong(OSError):
    """The answer has more bytes than it may have."""


_limits: ContextVar[AnswerLimits | None] = ContextVar("answer_limits", default=None)


@contextmanager
def answer_limits(limits: AnswerLimits) -> Iterator[None]:
    """Apply these limits to the answers of all requests that are made in this context."""
    token = _limits.set(limits)
    try:
        yield
    finally:
        _limits.reset(token)


_on_connect: ContextVar[Callable[[str], None] | None] = ContextVar("on_connect", default=None)


@contextmanager
def on_connect(report: Callable[[str], None]) -> Iterator[None]:
    """Report the IP address of each new connection before anything is sent over it.

    This applies to the connections that are made in this context.

    Behind a proxy nothing is reported: the address is the proxy's, and which one that connects to
    is for the proxy to decide.

    :param report: what it raises ends the connection, and comes out of the request unchanged unless
        it is an ``OSError``.
    """
    token = _on_connect.set(report)
    try:
        yield
    finally:
        _on_connect.reset(token)


class _LimitedReader(io.RawIOBase):
    """The reading side of a socket, up to a time and a number of bytes."""

    def __init__(self, raw: io.RawIOBase, sock: Any, limits: AnswerLimits) -> None:
        self._raw = raw
        self._sock = sock
        self._pause = sock.gettimeout()
        self._end = time.monotonic() + limits.seconds
        self._bytes_left = limits.bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        self._sock.settimeout(left if self._pause is None else min(left, self._pause))
        count = self._raw.readinto(buffer)
        if self._bytes_left is not None:
            self._bytes_left -= count or 0
            if self._bytes_left < 0:
                raise AnswerTooLong
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _LimitedResponse(http.client.HTTPResponse):
    """An answer that is read within the limits of its context.

    This includes a proxy's answer to ``CONNECT``.
    """

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        if limits := _limits.get():
            self.fp = io.BufferedReader(_LimitedReader(self.fp.detach(), sock, limits))

    def begin(self) -> None:
        super().begin()
        # http.client skips 100 alone. The answer comes after 102 and 103, too, and must not be left
        # for the next call.
        while 100 < self.status < 200:
            self.headers = self.msg = None  # type: ignore[assignment]
            super().begin()


class LimitedAdapter(HTTPAdapter):
    """Sends requests and reads their answers within :func:`answer_limits`.

    It follows no redirects, keeps no cookies and does not retry.
    """

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _limit_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        _limit_pools(manager)
        return manager

    def close(self) -> None:
        """Close all connections at once.

        urllib3 closes them when a pool is garbage-collected, which a traceback can delay.
        """
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118 - it is not a dict
                if pool := manager.pools.get(key):
                    pool.close()
        super().close()


def _limit_pools(manager: Any) -> None:
    manager.pool_classes_by_scheme = {
        scheme: _limited_pool(pool) for scheme, pool in manager.pool_classes_by_scheme.items()
    }


@cache
def _limited_pool(pool: Any) -> Any:
    """Return the kind of pool whose connections read limited answers, whatever they connect to."""
    if getattr(pool.ConnectionCls, "response_class", None) is _LimitedResponse:
        return pool

    class LimitedConnection(pool.ConnectionCls):  # type: ignore[misc]
        response_class = _LimitedResponse

        def _new_conn(self) -> Any:
            sock = super()._new_conn()
            report = _on_connect.get()
            if report and self.proxy is None and not hasattr(self, "_socks_options"):
                try:
                    report(sock.getpeername()[0])
                except BaseException:
                    sock.close()
                    raise
            return sock

    return type(pool.__name__, (pool,), {"ConnectionCls": LimitedConnection})
