"""A server that says what a test wants, byte by byte: only sockets, so it can break every rule."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unicodedata import category

from tests.loopback import accepting

Speak = Callable[[socket.socket], object]


@dataclass
class RawServer:
    """One connection after the other: it takes a request, or the beginning of one, and speaks.

    :ivar requests: what it has taken, each with the time at which it had it.
    """

    speak: Speak
    take_bytes: int | None = None
    port: int = 0
    requests: list[tuple[float, bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def serve(self, connection: socket.socket) -> None:
        while request := self._take(connection):
            self.requests.append((time.monotonic(), request))
            self.speak(connection)
            if self.take_bytes is not None:
                break

    def _take(self, connection: socket.socket) -> bytes:
        got = b""
        while b"\r\n\r\n" not in got:
            block = connection.recv(1 << 16)
            if not block:
                return b""
            got += block
        head, _, body = got.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        wanted = int(length[1]) if length else 0
        if self.take_bytes is not None:
            wanted = min(wanted, self.take_bytes)
        parts, have = [body], len(body)
        while have < wanted and (block := connection.recv(1 << 20)):
            parts.append(block)
            have += len(block)
        return head + b"\r\n\r\n" + b"".join(parts)


@contextmanager
def speaking(speak: Speak | bytes, *, take_bytes: int | None = None) -> Iterator[RawServer]:
    """Run a server.

    :param speak: what it does once it has a request; bytes are sent, and the connection is closed
        then.
    :param take_bytes: of a body; None takes all of it.
    """

    def say(connection: socket.socket) -> None:
        assert isinstance(speak, bytes)
        connection.sendall(speak)
        connection.shutdown(socket.SHUT_RDWR)

    server = RawServer(say if isinstance(speak, bytes) else speak, take_bytes)
    with accepting(server.serve, 30) as server.port:
        yield server


def http(status: int, body: bytes, *headers: str) -> bytes:
    """Lay out an answer."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def reply(payload: dict[str, Any], status: int = 200, *headers: str) -> bytes:
    """Lay out a reply of the service: ``api`` says ok unless the payload says something else."""
    envelope = {"api": {"status": "ok", "at": "1700000000"}, **payload}
    return http(status, json.dumps(envelope).encode(), *headers)


def refusal(code: int) -> bytes:
    return reply({"api": {"status": "error", "code": str(code), "message": "refused"}})


PAGE = b"<!DOCTYPE html><html><h1>Not the service</h1></html>"


def is_one_line(text: str) -> bool:
    """Return whether a text has no control sign, line break, half surrogate or bidi turn."""
    bad = {"Cc", "Cs", "Zl", "Zp"}
    return not any(
        category(mark) in bad or mark in "\u202a\u202b\u202d\u202e\u2066\u2067" for mark in text
    )
