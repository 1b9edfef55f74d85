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
    """Listen on a free port of 127.0.0.1 until the browser returns with ``request_token``."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Page)
        self.url = f"http://127.0.0.1:{self.server_port}/"
        self.request_token = ""  # nosec B105  # not known yet
        self.has_returned = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """Ignore a browser that closes the connection early."""


class _Page(BaseHTTPRequestHandler):
    server: LoopbackCallback

    def do_GET(self) -> None:
        tokens = parse_qs(urlsplit(self.path).query).get("oauth_token", [])
        expected = self.server.request_token in tokens
        body = (_THANKS if expected else _NOT_EXPECTED).encode()
        try:
            self.send_response(200 if expected else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        finally:  # the consent is given, even if the browser did not read the page
            if expected:
                self.server.has_returned.set()

    def log_message(self, *_: Any) -> None:
        """Print nothing: the address holds a token."""
