"""A plain client of the sandbox for its own tests: signatures by hashlib, none of the provider."""

from __future__ import annotations

import hashlib
import io
import socket
import time
from collections.abc import Callable
from http.client import HTTPResponse
from typing import Any

import requests
from PIL import Image

KEY = "6fa87ba500002712bd4eed6020f3bd72"
SECRET = "e9a599f0cf6ce193"
TOKEN = "12345-a0b1c2d3e4f5"
OAUTH_TOKEN = "98765-0a1b2c3d4e5f"
OAUTH_TOKEN_SECRET = "feedc0ffee012345"


def signature(params: dict[str, str], method: str = "") -> str:
    text = "".join(name + params[name] for name in sorted(params)) + method + SECRET
    return hashlib.md5(text.encode()).hexdigest()


def signed(method: str, token: str | None = TOKEN, **params: str) -> dict[str, str]:
    fields = {**params, "api_key": KEY, "lg": "en"}
    if token is not None:
        fields["auth_token"] = token
    return {**fields, "api_sig": signature(fields, method)}


def jpeg(colour: str = "teal", size: tuple[int, int] = (320, 200)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "JPEG")
    return buffer.getvalue()


def md5_of(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def poll(condition: Callable[[], Any], seconds: float = 10) -> Any:
    """Return the first true value of the condition; fail after ``seconds``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := condition():
            return answer
        time.sleep(0.01)
    raise AssertionError(f"The condition was not true within {seconds:g} seconds.")


def raw(sandbox: Caller, request: str | bytes) -> tuple[int, dict[str, str], str]:
    """Send bytes as they are; return the answer's status, headers (in lower case) and body."""
    host, _, port = sandbox.root.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(request.encode("latin-1") if isinstance(request, str) else request)
        answer = HTTPResponse(connection)
        answer.begin()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, headers, answer.read().decode()


class Caller:
    """One session with a running sandbox."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.http = requests.Session()

    def url(self, method: str, reply_format: str = "json") -> str:
        return f"{self.root}/api/{method}/{reply_format}"

    def get(self, method: str, token: str | None = TOKEN, **params: str) -> Any:
        return self.http.get(self.url(method), params=signed(method, token, **params)).json()

    def post(self, method: str, token: str | None = TOKEN, **params: str) -> Any:
        return self.http.post(self.url(method), data=signed(method, token, **params)).json()

    def send_raw(
        self, method: str, content: bytes | None, filename: str = "new.jpg", **params: str
    ) -> requests.Response:
        files = None if content is None else {"file": (filename, content)}
        return self.http.post(self.url(method), data=signed(method, **params), files=files)

    def send(
        self, method: str, content: bytes | None, filename: str = "new.jpg", **params: str
    ) -> Any:
        return self.send_raw(method, content, filename, **params).json()

    def replace(
        self, content: bytes, doc_id: str = "5412", filename: str = "new.jpg", **params: str
    ) -> str:
        """Send a replacement, return its ticket."""
        reply = self.send("upload.replace", content, filename, doc_id=doc_id, **params)
        assert reply["api"]["status"] == "ok", reply
        return str(reply["ticket"])

    def ticket(self, ticket: str) -> dict[str, Any]:
        return dict(self.get("upload.checkTickets", tickets=ticket)["tickets"]["ticket"][0])

    def wait(self, ticket: str) -> dict[str, Any]:
        """The ticket's report when it is done or invalid."""

        def ended() -> dict[str, Any] | None:
            report = self.ticket(ticket)
            return report if "1" in (report["done"], report["invalid"]) else None

        return dict(poll(ended))

    def doc(self, doc_id: str, extra: str = "md5") -> Any:
        return self.get("doc.get", doc_id=doc_id, extra=extra)["doc"]

    def code(self, reply: Any) -> str:
        """The error number of a reply; an ``ok`` reply fails the test."""
        assert reply["api"]["status"] == "error", reply
        return str(reply["api"]["code"])

    def change(self, **settings: Any) -> Any:
        response = self.http.put(f"{self.root}/_sandbox/settings", json=settings)
        assert response.status_code == 200, response.text
        return response.json()

    def reset(self) -> None:
        assert self.http.post(f"{self.root}/_sandbox/reset", json={}).status_code == 200

    def control(self, name: str) -> Any:
        return self.http.get(f"{self.root}/_sandbox/{name}").json()

    def page(self, path: str, **params: str) -> str:
        return self.http.get(f"{self.root}{path}", params=params).text
