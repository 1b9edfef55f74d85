"""A service with any number of documents, which are made when a page of them is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl

Change = Callable[[dict[str, str], dict[str, Any]], dict[str, Any]]


@dataclass
class PagedService:
    """It answers ``auth.checkToken``, ``doc.getList`` and ``doc.search``.

    :ivar count: how many documents it has now; the newest has the highest number.
    :ivar change: gets the parameters of a call and the member ``docs`` of its answer, and returns
        the member to send.
    :ivar asked: method and parameters of each list that was asked for.
    """

    count: int
    change: Change = field(default=lambda _, docs: docs)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    def answer(self, method: str, params: dict[str, str]) -> dict[str, Any]:
        if method == "auth.checkToken":
            user = {"user_id": "1234", "username": "Superman", "is_pro": "1"}
            return {"auth": {"permissions": {"doc": "read"}, "user": user}}
        self.asked.append((method, params))
        page, size = int(params["page"]), int(params["per_page"])
        first = self.count - (page - 1) * size
        docs = {
            "total": str(self.count),
            "per_page": str(size),
            "page": str(page),
            "pages": str(-(-self.count // size)),
            "doc": [self.document(number) for number in range(first, max(0, first - size), -1)],
        }
        return {"docs": self.change(params, docs)}

    def document(self, number: int) -> dict[str, Any]:
        return {
            "doc_id": str(number),
            "media": "photo",
            "title": f"Photo {number}",
            "md5": f"{number:032x}",
            "dates": {"posted_at": "1699990000", "created": "2024-05-01 12:00:00"},
            "original": {"filename": f"IMG_{number}.jpg", "bytes": str(1000 + number)},
        }


@contextmanager
def paged_service(count: int, change: Change | None = None) -> Iterator[PagedService]:
    service = PagedService(count)
    if change:
        service.change = change

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            payload = service.answer(self.path.split("/")[-2], dict(parse_qsl(body)))
            sent = json.dumps({**payload, "api": {"status": "ok"}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        service.url = f"http://127.0.0.1:{server.server_port}"
        yield service
        server.shutdown()
