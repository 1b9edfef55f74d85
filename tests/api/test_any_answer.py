"""Whatever a server answers, a client method returns what it promises or raises IpernityError.

It does so in bounded time and memory. The answers are the documented replies, mutated: in
their values, their text, their bytes, their headers and their status. A longer run:
``HOSTILE_ANSWERS=20000 pytest tests/api/test_any_answer.py``.
"""

from __future__ import annotations

import gzip
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import IpernityError
from ipernity_provider.api.models import Document, Medias, Quota, Ticket, Token, Upload
from tests.api.raw_server import is_one_line, speaking
from tests.conftest import API_KEY, API_SECRET, OAUTH_SECRET, SECRETS, TOKEN
from tests.memory import begin_measuring, peak_kib

pytestmark = pytest.mark.socket

# A batch of its own for some hundreds: hypothesis remembers all that it has drawn, which takes 150
# KB for each example.
EXAMPLES = 300
BATCHES = max(1, int(os.environ.get("HOSTILE_ANSWERS", "0")) // EXAMPLES)

MD5 = "9e107d9d372bb6826bd81d3542a419d6"
API = {"status": "ok", "at": "1700000100"}
ORIGINAL = {
    "ext": "jpg",
    "w": "3000",
    "h": "2000",
    "filename": "boat.jpg",
    "bytes": "585654",
    "url": "https://cdn.ipernity.com/200/54/12/5412.253ade85.jpg?r2",
}
DOC = {
    "doc_id": "5412",
    "media": "photo",
    "license": "0",
    "title": "A boat",
    "link": "https://www.ipernity.com/doc/1234/5412",
    "md5": MD5,
    "owner": {"user_id": "1234", "username": "Superman", "realname": ""},
    "dates": {
        "posted_at": "1699990000",
        "replaced_at": "1700000000",
        "created": "2023-11-14 10:00:00",
    },
    "original": ORIGINAL,
}
USER = {"user_id": "1234", "username": "Superman", "realname": "Kal-El", "lg": "en", "is_pro": "1"}
BYTES = {"bytes": "10485760", "kb": "10240", "mb": "10", "percent": "97"}
TICKETS = [
    {"id": "12345445-98829", "done": "1", "invalid": "0", "doc_id": "12345445", "eta": "0"},
    {"id": "712311", "done": "0", "invalid": "0", "eta": "15"},
]

Call = Callable[[IpernityClient, Path], object]
CALLS: dict[str, tuple[Call, dict[str, Any], Any]] = {
    "get_document": (lambda c, _: c.get_document("5412"), {"doc": DOC}, Document),
    "get_medias": (
        lambda c, _: c.get_medias("5412"),
        {"original": ORIGINAL, "medias": {"media": [{"label": "hd", "format": "mp4", "bytes": 7}]}},
        Medias,
    ),
    "get_recent_documents": (
        lambda c, _: c.get_recent_documents("1234"),
        {"docs": {"total": "1", "page": "1", "pages": "1", "doc": [DOC]}},
        list,
    ),
    "check_md5": (
        lambda c, _: c.check_md5([MD5]),
        {
            "docs": {
                "count": "1",
                "found": "1",
                "doc": [{"md5": MD5, "found": "1", "doc_id": "5412"}],
            }
        },
        dict,
    ),
    "check_tickets": (
        lambda c, _: c.check_tickets(["12345445-98829", "712311"]),
        {"tickets": {"done": "1", "left": "1", "eta": "15", "count": "2", "ticket": TICKETS}},
        list,
    ),
    "get_quota": (
        lambda c, _: c.get_quota(),
        {
            "quota": {
                "user_id": "1234",
                "is_pro": "1",
                "upload": {"unlimited": "0", "max": BYTES, "used": BYTES, "left": BYTES},
                "maxfilesize": {"photo": BYTES, "audio": [], "video": BYTES, "other": {}},
            }
        },
        Quota,
    ),
    "check_token": (
        lambda c, _: c.check_token(),
        {"auth": {"token": TOKEN, "permissions": {"doc": "write", "blog": "none"}, "user": USER}},
        Token,
    ),
    "echo": (lambda c, _: c.echo("hello"), {"echo": "hello"}, str),
    "call": (lambda c, _: c.call("doc.set", doc_id="5412", title="x"), {"doc": DOC}, dict),
    "call by GET": (
        lambda c, _: c.call("api.methods.get", method="doc.get"),
        {"methods": []},
        dict,
    ),
    "upload_replace": (
        lambda c, file: c.upload_replace("5412", file),
        {"ticket": "12345445-98829"},
        Upload,
    ),
    "upload_file": (
        lambda c, file: c.upload_file(file, asynchronous=False),
        {"ticket": "12345445", "doc_id": "12345445"},
        Upload,
    ),
    "download": (
        lambda c, _: list(c.download(f"{c.server}/x.jpg", max_bytes=1 << 20, total_timeout=5)),  # type: ignore[attr-defined]
        {},
        list,
    ),
}

SCALARS: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(None, True, False, 0, 1, -1, 5412, 132, 133, 999, 2**63, -(2**70), 10**400),
        *(0.5, 1e308, float("nan"), float("inf"), [], {}),
        *(
            "",
            "0",
            "1",
            "x",
            "ok",
            "error",
            "5412",
            "134",
            "500",
            "NaN",
            "1e400",
            "9" * 5000,
            "\u0663",
        ),
        *("\ud800", "\x00\x1b[31m", "\u202e", "a\r\nb: c", "x" * 100_000, MD5.upper()),
        *("http://[::1", "javascript:x"),
    ]
)
VALUES = st.recursive(
    SCALARS | st.text(max_size=20) | st.integers() | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, child in inner:
        yield from paths_of(child, (*path, key))


def mutated(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = mutated(value[path[0]], path[1:], new)
    return copy


@st.composite
def payloads(draw: st.DrawFn, sample: dict[str, Any]) -> Any:
    """A documented reply or refusal with up to three of its members changed."""
    code = draw(st.sampled_from([None] * 4 + [1, 4, 100, 107, 112, 113, 132, 133, 134, 500, 503]))
    api = (
        API
        if code is None
        else {"status": "error", "at": "1700000000", "code": str(code), "message": "x"}
    )
    reply: Any = {**sample, "api": api}
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(list(paths_of(reply))))
        if path or not draw(st.integers(0, 9)):
            reply = mutated(reply, path, draw(VALUES))
    return reply


def deep(opening: bytes, closing: bytes) -> bytes:
    return b'{"api": {"status": "ok"}, "doc": ' + opening * 50_000 + closing * 50_000 + b"}"


@st.composite
def bodies(draw: st.DrawFn, sample: dict[str, Any]) -> bytes:
    payload = draw(payloads(sample))
    text = json.dumps(payload, ensure_ascii=draw(st.booleans()))
    body = text.encode("utf-8", "surrogatepass")
    kind = draw(
        st.sampled_from(
            ["as it is"] * 8 + ["cut", "BOM", "noise", "deep", "page", "xml", "utf-16", "bytes"]
        )
    )
    if kind == "cut":
        return body[: draw(st.integers(0, len(body)))]
    if kind == "noise":
        place = draw(st.integers(0, len(body)))
        return body[:place] + draw(st.binary(max_size=8)) + body[place:]
    return {
        "as it is": body,
        "BOM": b"\xef\xbb\xbf" + body,
        "deep": draw(st.sampled_from([deep(b"[", b"]"), deep(b'{"a":', b"}")])),
        "page": b"<!DOCTYPE html><p>" + body,
        "xml": b'<api status="ok" code="&#0;"><ticket>1-2</ticket></api>',
        "utf-16": text.encode("utf-16", "surrogatepass"),
        "bytes": draw(st.binary(max_size=200)),
    }[kind]


HEADERS = st.sampled_from(
    [
        b"Content-Encoding: gzip",
        b"Content-Encoding: \xff",
        b"Transfer-Encoding: chunked",
        b"Content-Length: 7",
        b"Content-Length: -7",
        b"Content-Length: 99999999999999999999999",
        b"Content-Length: " + b"9" * 5000,
        b"Location: http://[::1",
        b"Location: \xff\xfe\x00",
        b"Location: /x",
        b"Location: //\x80:99999999/",
        b"Retry-After: 99999999999999999999",
        b"Retry-After: Tue, 14 Nov 99999 22:13:20 GMT",
        b"Date: Tue, 14 Nov 99999 22:13:20 +9999",
        b"Date: \xf0\x9f\x98\x80",
        b"Set-Cookie: a=b; Max-Age=9999999999999999999999; Domain=\xff",
        b"Content-Type: text/plain; charset=\xff\x00",
        b"no colon at all",
        b": empty name",
        b"folded: a\r\n b\r\n\tc",
        b"x: " + b"y" * 70_000,
        b"\r\nx: " + b"y" * 10,
    ]
)


@st.composite
def answers(draw: st.DrawFn, sample: dict[str, Any]) -> bytes:
    """The bytes of an answer; half of them differ from a good one in at most one member."""
    if draw(st.booleans()):
        reply = {**sample, "api": API}
        path = draw(st.sampled_from([path for path in paths_of(reply) if path]))
        body = json.dumps(
            draw(st.just(reply) | SCALARS.map(lambda new: mutated(reply, path, new)))
        ).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    body = draw(bodies(sample))
    if draw(st.integers(0, 9)) == 0:
        body = gzip.compress(body)
    status = draw(st.sampled_from([200] * 8) | st.integers(100, 999))
    start = draw(
        st.sampled_from(
            [b"HTTP/1.1 %d OK"] * 12
            + [b"HTTP/1.0 %d", b"HTTP/2 %d OK", b"HTTP/1.1 x%dx", b"%d", b"\xff%d"]
        )
    )
    lines = [start % status, *draw(st.lists(HEADERS, max_size=3))]
    if draw(st.integers(0, 3)):
        lines.append(b"Content-Length: %d" % len(body))
    if draw(st.integers(0, 19)) == 0:
        lines += [b"X-%d: y" % number for number in range(150)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@contextmanager
def clients(file: Path, answer: list[bytes]) -> Iterator[dict[str, IpernityClient]]:
    """Clients with both kinds of signature of one server, which says what ``answer`` holds."""

    def speak(connection: socket.socket) -> None:
        connection.sendall(answer[0])
        connection.shutdown(socket.SHUT_RDWR)

    with speaking(speak) as server:
        options: dict[str, Any] = {
            "base_url": server.url,
            "attempts": 1,
            "timeout": 10.0,
            "upload_timeout": 10.0,
        }
        made = {
            "signature": IpernityClient(API_KEY, API_SECRET, token=TOKEN, **options),
            "oauth": IpernityClient(
                API_KEY, API_SECRET, auth="oauth", token="1-2", token_secret=OAUTH_SECRET, **options
            ),
        }
        for client in made.values():
            client.server = server.url  # type: ignore[attr-defined]
        yield made
        for client in made.values():
            client.close()


def outcome(call: Callable[[], object]) -> object:
    """Return what a call returns, or the package's error that it raises; any other one fails."""
    try:
        return call()
    except IpernityError as error:
        return error


@pytest.mark.parametrize("batch", range(BATCHES))
def test_whatever_is_answered_is_what_is_promised_or_an_error_of_this_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(
        "ipernity_provider.api.transport.time.sleep", lambda _: None
    )  # between signatures
    file = tmp_path / "boat.jpg"
    file.write_bytes(b"a picture")
    answer = [b""]
    outcomes = {"returned": 0, "raised": 0}

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        call, sample, promised = CALLS[data.draw(st.sampled_from(sorted(CALLS)))]
        answer[0] = data.draw(answers(sample))
        client = made[data.draw(st.sampled_from(sorted(made)))]
        result = outcome(lambda: call(client, file))
        client.close()  # else the next call may meet a connection that this server has just closed
        if isinstance(result, IpernityError):
            outcomes["raised"] += 1
            assert is_one_line(str(result))
            assert len(str(result)) < 1200
            assert not any(secret in str(result) for secret in SECRETS)
            assert result.retry_after is None or 0 <= result.retry_after <= 6 * 3600
            return
        outcomes["returned"] += 1
        assert isinstance(result, promised)
        repr(result).encode()
        if isinstance(result, Document):
            assert result.doc_id == "5412"
            assert result.md5 is None or len(result.md5) == 32
        if isinstance(result, list) and result and isinstance(result[0], Ticket):
            assert [ticket.id for ticket in result] == ["12345445-98829", "712311"]

    with clients(file, answer) as made:
        # With the reply as it is documented, all get through.
        for name, (call, sample, promised) in CALLS.items():
            body = json.dumps({**sample, "api": API}).encode()
            answer[0] = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            assert isinstance(call(made["signature"], file), promised), name
            made["signature"].close()
        find(st.text(), bool)  # the first time, hypothesis makes its table of characters: 200 MiB
        before = begin_measuring()
        check()
        grown_kib = peak_kib() - before
    assert min(outcomes.values()) > EXAMPLES // 10, outcomes
    assert grown_kib < 200 << 10
