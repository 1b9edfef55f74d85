"""A stand-in for the service: takes uploads as fast as this machine can, and drops them.

It is a process of its own.

It answers each call of the API with a fixed reply, reads an upload's body without looking at it,
and says on its standard output what each upload has cost it. One call a connection, one thread a
connection.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import ssl
import sys
import threading
import time
from pathlib import Path
from typing import Any

READY = "receiver ready: "
TICKET = "1-2"

_BLOCK = 256 * 1024
_LONGEST_HEAD = 64 * 1024
_SECONDS_OF_SILENCE = 120.0


class Receiver:
    """Answers on a port of 127.0.0.1.

    :param replies: API method -> its payload before any upload, and after one; other methods get a
        bare ``ok``.
    :param rate: bytes per second that an upload is read at; 0 reads as fast as it comes.
    """

    def __init__(
        self, tls: ssl.SSLContext | None, replies: dict[str, list[Any]], rate: float
    ) -> None:
        self._tls = tls
        self._replies = replies
        self._rate = rate
        self._uploaded = False
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=50)

    @property
    def url(self) -> str:
        port = self._listening.getsockname()[1]
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{port}"

    def serve(self) -> None:
        while True:
            connection, _ = self._listening.accept()
            threading.Thread(target=self._serve_one, args=(connection,), daemon=True).start()

    def _serve_one(self, connection: socket.socket) -> None:
        connection.settimeout(_SECONDS_OF_SILENCE)
        try:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection:
                self._answer(connection)
        except OSError as error:
            # A client that is stopped in the middle of an upload is no matter here.
            print(f"receiver: {type(error).__name__}: {error}", file=sys.stderr, flush=True)

    def _answer(self, connection: socket.socket) -> None:
        head, begun = _read_head(connection)
        lines = head.decode("latin-1").split("\r\n")
        method = lines[0].split()[1].split("?")[0].removeprefix("/api/").removesuffix("/json")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines[1:])
        }
        if "100-continue" in headers.get("expect", ""):
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = int(headers.get("content-length", 0))
        cost = self._discard(connection, length - len(begun))
        if method.startswith("upload.") and method != "upload.checkTickets":
            print(json.dumps({"bytes": length, **cost}), flush=True)
            self._uploaded = True
        _reply(connection, self._payload(method))

    def _discard(self, connection: socket.socket, left: int) -> dict[str, float]:
        """Read so many bytes; MSG_TRUNC makes the kernel drop them unread."""
        buffer = bytearray(_BLOCK)
        flags = 0 if self._tls else socket.MSG_TRUNC
        began, cpu, read = time.perf_counter(), time.thread_time(), 0
        while read < left:
            count = connection.recv_into(buffer, min(left - read, _BLOCK), flags)
            if not count:
                raise ConnectionError(f"the client left with {left - read} bytes to go")
            read += count
            if self._rate and (ahead := read / self._rate - (time.perf_counter() - began)) > 0:
                time.sleep(ahead)
        return {"seconds": time.perf_counter() - began, "cpu": time.thread_time() - cpu}

    def _payload(self, method: str) -> dict[str, Any]:
        before_and_after = self._replies.get(method, [{"ticket": TICKET}])
        payload: dict[str, Any] = before_and_after[-1 if self._uploaded else 0]
        return {"api": {"status": "ok", "at": int(time.time())}, **payload}


def _read_head(connection: socket.socket) -> tuple[bytes, bytes]:
    """The request's head, and what came with it of the body."""
    received = b""
    while b"\r\n\r\n" not in received:
        block = connection.recv(_LONGEST_HEAD)
        if not block or len(received) > _LONGEST_HEAD:
            raise ConnectionError("no HTTP request came")
        received += block
    head, _, begun = received.partition(b"\r\n\r\n")
    return head, begun


def _reply(connection: socket.socket, payload: dict[str, Any]) -> None:
    body = json.dumps(payload).encode()
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length:"
        f" {len(body)}\r\nConnection: close\r\n\r\n"
    )
    connection.sendall(head.encode() + body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--certificate", type=Path, help="PEM file with key and certificate, for https"
    )
    parser.add_argument(
        "--replies", type=json.loads, default={}, help="JSON: method -> [before, after an upload]"
    )
    parser.add_argument(
        "--rate", type=float, default=0.0, help="bytes per second that an upload is read at"
    )
    parser.add_argument("--core", type=int, help="the processor to run on")
    options = parser.parse_args()
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C is for the benchmark, which then ends this process
    if options.core is not None:
        os.sched_setaffinity(0, {options.core})
    tls = None
    if options.certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(options.certificate)
    receiver = Receiver(tls, options.replies, options.rate)
    print(f"{READY}{receiver.url}", flush=True)
    receiver.serve()


if __name__ == "__main__":
    main()
