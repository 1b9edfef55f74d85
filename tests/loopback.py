"""Small servers of tests, on loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class QuietHandler(BaseHTTPRequestHandler):
    """Answers requests over kept connections, and writes nothing to stderr."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing."""


class HttpServer(ThreadingHTTPServer):
    """An HTTP server on a free port; a thread answers each connection."""

    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @contextmanager
    def running(self) -> Iterator[Self]:
        with self:
            thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            try:
                yield self
            finally:
                self.shutdown()
                thread.join()


@contextmanager
def accepting(take: Callable[[socket.socket], object], seconds: float) -> Iterator[int]:
    """Take one connection after the other, and yield the port.

    :param take: is given each connection, which is closed afterwards.
    :param seconds: time limit of each read and write.
    """

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # it is closed: the test is over
                return
            with connection, suppress(OSError):
                connection.settimeout(seconds)
                take(connection)

    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(seconds + 5)
