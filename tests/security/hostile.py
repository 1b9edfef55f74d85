"""A service that answers what it likes, and a listener that nobody may connect to."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from ipernity_provider.api.client import IpernityClient
from tests.api.raw_server import http, reply
from tests.conftest import API_KEY, API_SECRET, BOAT, TOKEN
from tests.loopback import HttpServer, QuietHandler, accepting

ORIGINAL = b"the previous original"
NEW = b"the new picture"
#: The path of the original.
MEDIA = "/media/5412.jpg"

Say = bytes | Callable[[], bytes | Iterator[bytes]]


class HostileService(HttpServer):
    """A service that replaces one document's file; a test says which of its answers are others.

    :ivar answers: API method, or path of a file -> the bytes of the answer, with its status line
        and headers.
    :ivar requests: the methods and paths that were asked for.
    :ivar sent: the bytes of each answer that were handed over.
    """

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.answers: dict[str, Say] = {}
        self.requests: list[str] = []
        self.sent = 0
        self.asked = b""
        self.content = ORIGINAL

    def client(self, **options: Any) -> IpernityClient:
        options = {
            "base_url": self.url,
            "attempts": 1,
            "timeout": 10.0,
            "upload_timeout": 10.0,
            **options,
        }
        return IpernityClient(API_KEY, API_SECRET, token=TOKEN, **options)

    def samples(self) -> dict[str, dict[str, Any]]:
        """Return the good reply to each method, as it is now."""
        md5, size = hashlib.md5(self.content).hexdigest(), str(len(self.content))
        original = {
            "ext": "jpg",
            "filename": "boat.jpg",
            "bytes": size,
            "url": f"{self.url}{MEDIA}",
        }
        user = {"user_id": "1234", "username": "Superman", "is_pro": "1"}
        document = {
            "doc_id": BOAT,
            "media": "photo",
            "title": "A boat",
            "link": "https://www.ipernity.com/doc/1234/5412",
            "md5": md5,
            "owner": user,
            "dates": {"posted_at": "1699990000", "replaced_at": "1700000000"},
            "original": original,
        }
        limits = {"bytes": "10485760"}
        return {
            "doc.get": {"doc": document},
            "doc.getMedias": {"doc_id": BOAT, "original": original, "medias": {"media": []}},
            "doc.getList": {"docs": {"total": "1", "doc": [document]}},
            "doc.checkMD5": {
                "docs": {
                    "doc": [{"md5": md5, "doc_id": BOAT}] if md5.encode() in self.asked else []
                }
            },
            "auth.checkToken": {
                "auth": {"token": TOKEN, "permissions": {"doc": "write"}, "user": user}
            },
            "account.getQuota": {
                "quota": {
                    "is_pro": "1",
                    "upload": {"left": limits},
                    "maxfilesize": {"photo": limits},
                }
            },
            "upload.replace": {"ticket": "5412-98829"},
            "upload.checkTickets": {
                "tickets": {"ticket": [{"id": "5412-98829", "done": "1", "doc_id": BOAT}]}
            },
        }

    def change(self, method: str, *path: str, to: Any) -> None:
        """Change one member of the good reply to a method."""
        payload = json.loads(json.dumps(self.samples()[method]))
        place = payload
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to
        self.answers[method] = reply(payload)


class _Handler(QuietHandler):
    server: HostileService

    def do_POST(self) -> None:
        self.server.asked = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = self.path.partition("?")[0]
        name = path.removeprefix("/api/").removesuffix("/json")
        self.server.requests.append(name)
        said = self.server.answers.get(name)
        if said is None:
            said = (
                http(200, ORIGINAL)
                if name == MEDIA
                else reply(self.server.samples().get(name, {"api": {}}))
            )
        if name == "upload.replace":
            self.server.content = NEW
        answer = said() if callable(said) else said
        # Only what `http` has laid out is known to end where it says.
        self.close_connection = not isinstance(answer, bytes) or b" Whatever\r\n" not in answer[:30]
        with suppress(OSError):
            for block in [answer] if isinstance(answer, bytes) else answer:
                self.wfile.write(block)
                self.server.sent += len(block)


@dataclass
class Canary:
    """A listener on a port of its own; whoever connects to it is noted."""

    port: int = 0
    received: list[bytes] = field(default_factory=list)

    def _take(self, connection: socket.socket) -> None:
        self.received.append(b"")
        self.received[-1] = connection.recv(1 << 16)
        connection.sendall(http(200, ORIGINAL, "Connection: close"))

    @classmethod
    @contextmanager
    def listening(cls) -> Iterator[Canary]:
        canary = cls()
        with accepting(canary._take, 10) as canary.port:
            yield canary
