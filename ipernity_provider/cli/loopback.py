"""A web page on this machine to which the browser returns after the consent."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<link rel="icon" href="data:,"><style>
:root {{ color-scheme: light dark; }}
body {{ max-width: 32rem; margin: 15vh auto; padding: 0 1.5rem; }}
body {{ font: 1.1rem/1.5 system-ui, sans-serif; }}
</style></head><body><h1>{title}</h1><p>{text}</p></body></html>
"""
_THANKS = _PAGE.format(
    title="Thank you",
    text="You can close this page and go back to the terminal.",
)
_NOT_EXPECTED = _PAGE.format(title="Nothing here", text="This page waits for another consent.")


class LoopbackCallback(ThreadingHTTPServer):
    """Listen on a free port of 127.0.0.1 until the browser returns with the expected token."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Page)
        self.returned = threading.Event()
        self._expected: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def expect(self, request_token: str) -> None:
        self._expected = request_token

    def wait(self, seconds: float) -> bool:
        """Return whether the browser returned in time."""
        return self.returned.wait(seconds)

    def is_expected(self, address: str) -> bool:
        return self._expected in parse_qs(urlsplit(address).query).get("oauth_token", [])

    def handle_error(self, *_: object) -> None:
        """Ignore a browser that closes the connection early."""


class _Page(BaseHTTPRequestHandler):
    server: LoopbackCallback

    def do_GET(self) -> None:
        expected = self.server.is_expected(self.path)
        body = (_THANKS if expected else _NOT_EXPECTED).encode()
        try:
            self.send_response(200 if expected else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        finally:  # the consent is given, even if the browser did not read the page
            if expected:
                self.server.returned.set()

    def log_message(self, *_: Any) -> None:
        """Print nothing: the address holds a token."""
