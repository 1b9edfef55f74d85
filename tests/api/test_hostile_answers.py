"""Answers that break the rules: what an upload makes of them, and that each call ends."""

from __future__ import annotations

import gzip
import hashlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import (
    AnswerLost,
    BrokenOff,
    CredentialError,
    IpernityError,
    PermanentError,
    ReplyInvalid,
    StaleSignature,
    TransientError,
)
from ipernity_provider.api.parsing import MAX_REPLY_BYTES
from tests.api.raw_server import PAGE, RawServer, Speak, http, refusal, reply, speaking
from tests.conftest import API_KEY, API_SECRET, BOAT, CREDENTIALS, SECRETS

pytestmark = pytest.mark.socket

DOCUMENT = {"doc": {"doc_id": BOAT}}
TICKET = {"ticket": "5412-1"}


def client_of(server: RawServer, auth: str = "signature", **options: Any) -> IpernityClient:
    options = {
        "attempts": 1,
        "timeout": 1.0,
        "upload_timeout": 1.0,
        "stall_timeout": 2.0,
        **options,
    }
    return IpernityClient(API_KEY, API_SECRET, base_url=server.url, **CREDENTIALS[auth], **options)


def assert_fit_to_show(error: IpernityError) -> None:
    assert str(error).isprintable()
    assert len(str(error)) < 600
    assert not any(secret in str(error) for secret in SECRETS)
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__


# -- whose word it is ------------------------------------------------------------------------------

CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + b'{"ticket": "5412-1", "api'


@pytest.mark.parametrize(
    "answer",
    [
        *(
            http(status, PAGE)
            for status in (200, 400, 401, 403, 404, 408, 409, 413, 429, 499, 500, 502, 503, 999)
        ),
        http(302, b"", "Location: https://www.example.org/api/upload.replace/json"),
        http(302, b"", "Location: http://[::1"),
        http(302, b"", "Location: \xff\xfe\x80"),
        http(204, b""),
        http(200, b"{}"),
        CUT,
        b"",
        b"HTTP/1.1 200",
        b"220 mail.example.org ESMTP\r\n",
        b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n",
        http(200, b"\x1f\x8b not gzip", "Content-Encoding: gzip"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\x00\x80: \xff\r\n\r\n",
        reply({"ticket": ["5412-1"]}),
        reply({"doc_id": "../5412"}),
    ],
    ids=lambda answer: ascii(answer[:60]),
)
def test_a_file_that_was_sent_may_have_arrived_unless_the_service_itself_says_no(
    picture: Path, answer: bytes
) -> None:
    with speaking(answer) as server, client_of(server) as client:
        with pytest.raises(TransientError, match="ile may have arrived") as caught:
            client.upload_replace(BOAT, picture)
        assert caught.value.maybe_accepted
        assert_fit_to_show(caught.value)
    assert len(server.requests) == 1


@pytest.mark.parametrize("auth", ["signature", "oauth"])
@pytest.mark.parametrize(
    ("code", "doubtful"),
    [
        *((code, False) for code in (1, 4, 5, 6, 105, 107)),
        *((code, True) for code in (112, 113, 132, 133, 134, 500, 503)),
    ],
)
def test_an_upload_that_is_refused_after_its_end_is_not_sent_again(
    picture: Path, auth: str, code: int, doubtful: bool
) -> None:
    with speaking(refusal(code)) as server, client_of(server, auth, attempts=4) as client:
        with pytest.raises(IpernityError) as caught:
            client.upload_replace(BOAT, picture)
    assert (caught.value.code, caught.value.maybe_accepted) == (code, doubtful)
    assert ("The file may have arrived." in str(caught.value)) is doubtful
    assert len(server.requests) == 1


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """More than the buffers of two sockets hold."""
    file = tmp_path / "big.jpg"
    with file.open("wb") as stream:
        stream.truncate(64 << 20)
    return file


@pytest.mark.parametrize(
    ("answer", "error", "requests"),
    [
        (http(413, PAGE), PermanentError, 1),
        (http(503, PAGE), BrokenOff, 1),
        (http(302, b"", "Location: /"), BrokenOff, 1),
        (b"", BrokenOff, 1),
        (b"HTTP/1.1 2", BrokenOff, 1),
        (refusal(107), CredentialError, 1),
        (refusal(500), IpernityError, 1),
        (refusal(134), StaleSignature, 3),
    ],
)
def test_nothing_arrived_of_an_upload_that_is_answered_before_its_last_block(
    big: Path, answer: bytes, error: type[IpernityError], requests: int
) -> None:
    with (
        speaking(answer, take_bytes=1 << 16) as server,
        client_of(server, "oauth", attempts=4) as client,
    ):
        with pytest.raises(error) as caught:
            client.upload_replace(BOAT, big)
        assert not caught.value.maybe_accepted
        assert_fit_to_show(caught.value)
    assert len(server.requests) == requests


def test_an_answer_to_another_call_is_not_taken_for_the_next_ones(picture: Path) -> None:
    """What follows an early hint is the answer; if left there, it would answer the next call."""
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"

    def speak(connection: socket.socket) -> None:
        connection.sendall(hint + hint + reply({"echo": str(len(server.requests))}))

    with speaking(speak) as server, client_of(server) as client:
        assert [client.echo() for _ in range(3)] == ["1", "2", "3"]


# -- an end to each call ---------------------------------------------------------------------------


def drip(start: bytes, piece: bytes, pause: float = 0.1) -> Speak:
    def speak(connection: socket.socket) -> None:
        connection.sendall(start)
        for _ in range(400):
            time.sleep(pause)
            connection.sendall(piece)

    return speak


def flood(start: bytes, piece: bytes) -> Speak:
    """Send up to 2 GiB."""

    def speak(connection: socket.socket) -> None:
        connection.sendall(start)
        for _ in range((2 << 30) // len(piece)):
            connection.sendall(piece)

    return speak


HEAD = b"HTTP/1.1 200 OK\r\n"
ENDLESS: dict[str, Speak] = {
    "a head that drips": drip(HEAD, b"X"),
    "headers that drip": drip(HEAD, b"X: y\r\n"),
    "a body that drips": drip(HEAD + b"Content-Length: 500\r\n\r\n", b" "),
    "chunks that drip": drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "a trailer that drips": drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
    "100 that drips": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "103 that drips": drip(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "a flood of 100": flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 5000),
    "a flood of 103": flood(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 5000),
    "a flood of headers": flood(HEAD, b"X: " + b"y" * 60_000 + b"\r\n"),
    "a flood in one header": flood(HEAD + b"X: ", b"y" * (1 << 20)),
    "a flood of body": flood(HEAD + b"\r\n", b" " * (1 << 20)),
    "a flood of a body of known size": flood(
        HEAD + b"Content-Length: 99999999999\r\n\r\n", b" " * (1 << 20)
    ),
    "a flood of chunks": flood(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 5000),
    "a flood in a chunk's size": flood(
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * (1 << 20)
    ),
    "silence": lambda connection: connection.recv(1),
}


@pytest.mark.parametrize("kind", ENDLESS)
@pytest.mark.parametrize("upload", [False, True])
def test_an_answer_without_an_end_is_ended(picture: Path, kind: str, upload: bool) -> None:
    with (
        speaking(ENDLESS[kind]) as server,
        client_of(server, timeout=0.4, upload_timeout=0.4) as client,
    ):
        started = time.monotonic()
        with pytest.raises(AnswerLost) as caught:
            client.upload_replace(BOAT, picture) if upload else client.get_document(BOAT)
        # The limit is 0.4 s, and the drips would last 40: what is between is room for a slow
        # machine.
        assert time.monotonic() - started < 20
        assert caught.value.maybe_accepted or not upload
        assert_fit_to_show(caught.value)


def test_a_proxy_that_drips_is_ended() -> None:
    with speaking(drip(HEAD, b"X: y\r\n")) as proxy:
        options: dict[str, Any] = {"base_url": "https://api.example.org", "proxy": proxy.url}
        client = IpernityClient(API_KEY, API_SECRET, timeout=0.4, attempts=1, **options)
        started = time.monotonic()
        with client, pytest.raises(TransientError) as caught:
            client.echo()
        assert time.monotonic() - started < 20
        assert_fit_to_show(caught.value)


def test_a_slow_answer_that_is_in_time_is_read() -> None:
    def speak(connection: socket.socket) -> None:
        for byte in reply({"echo": "hello"}):
            connection.sendall(bytes([byte]))
            time.sleep(0.002)

    with speaking(speak) as server, client_of(server, timeout=30.0) as client:
        assert client.echo() == "hello"


def zipped(payload: bytes) -> bytes:
    return http(200, payload, "Content-Encoding: gzip")


MEASURE = """
import sys
from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import AnswerLost
from tests.memory import begin_measuring, peak_kib

with IpernityClient("key", "secret", base_url=sys.argv[1], attempts=1) as client:
    assert client.echo() == "hello"  # pays for imports, buffers and the connection
    before = begin_measuring()
    for _ in range(int(sys.argv[2])):
        try:
            client.get_document("5412")
        except AnswerLost:
            pass
        else:
            raise SystemExit("no error")
    print(peak_kib() - before)
"""


# The values that take most memory for their length, as many as are read and more.
WIDEST = [
    (value, count)
    for value in (b"[]", b'{"a":1}', b'"ab"', b"1.5", b'{"\xe2\x98\x83":[{}]}')
    for count in (9_900, 19_900, 39_900, 10**6)
]


def longest(value: bytes, count: int) -> bytes:
    """An answer of that many values, as far as they fit."""
    start, end = b'{"api": {"status": "ok"}, "doc": [', b"0]}"
    fit = (MAX_REPLY_BYTES - len(start) - len(end)) // (len(value) + 1)
    return start + (value + b",") * min(count, fit) + end


def test_no_answer_takes_much_memory() -> None:
    bomb = gzip.compress(bytes(1 << 30), 6)
    answers: list[bytes | Speak] = [
        reply({"echo": "hello"}),
        zipped(bomb),
        zipped(gzip.compress(bomb)),
        ENDLESS["a flood of body"],
        ENDLESS["a flood in one header"],
        http(200, b"[" * (MAX_REPLY_BYTES - 1)),
        http(200, b'{"a":' * (MAX_REPLY_BYTES // 5)),
        *(http(200, longest(value, count)) for value, count in WIDEST),
        http(200, b'{"api": ' + b"9" * (MAX_REPLY_BYTES - 99) + b"}"),
        http(200, b"<api>" + b"<a/>" * (1 << 14) + b"</api>"),
    ]

    def speak(connection: socket.socket) -> None:
        answer = answers[len(server.requests) - 1]
        if isinstance(answer, bytes):
            connection.sendall(answer)
        else:
            answer(connection)

    with speaking(speak) as server:
        command = [sys.executable, "-c", MEASURE, server.url, str(len(answers) - 1)]
        grown_kib = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert len(server.requests) == len(answers)
    assert grown_kib < 16 << 10


def test_a_compressed_answer_is_read() -> None:
    payload = gzip.compress(json.dumps({"echo": "hello", "api": {"status": "ok"}}).encode())
    with speaking(zipped(payload)) as server, client_of(server) as client:
        assert client.echo() == "hello"


# -- the pause that the service asks for -----------------------------------------------------------


def test_a_reading_call_waits_for_a_short_pause_that_the_service_asks_for() -> None:
    def speak(connection: socket.socket) -> None:
        busy = len(server.requests) == 1
        connection.sendall(http(503, PAGE, "Retry-After: 2") if busy else reply({"echo": "hello"}))

    with speaking(speak) as server, client_of(server, attempts=2) as client:
        assert client.echo() == "hello"
    (first, _), (second, _) = server.requests
    assert second - first >= 2


@pytest.mark.parametrize(
    "answer", [http(429, b"", "Retry-After: 3600"), http(502, PAGE, "Retry-After: 3600")]
)
def test_a_long_pause_is_left_to_the_caller(picture: Path, answer: bytes) -> None:
    for call in (IpernityClient.get_quota, lambda client: client.upload_replace(BOAT, picture)):
        with speaking(answer) as server, client_of(server, attempts=4) as client:
            with pytest.raises(TransientError) as caught:
                call(client)
        assert caught.value.retry_after == 3600
        assert len(server.requests) == 1


# -- an answer is about what was asked -------------------------------------------------------------

MD5 = "9e107d9d372bb6826bd81d3542a419d6"
Call = Callable[[IpernityClient], object]


@pytest.mark.parametrize(
    ("call", "answer", "member"),
    [
        (lambda c: c.get_document("5412"), {"doc": {"doc_id": "77"}}, "doc.doc_id"),
        (lambda c: c.get_document("5412"), {}, "doc"),
        (lambda c: c.get_medias("5412"), {"doc_id": "77"}, "doc_id"),
        (
            lambda c: c.check_tickets(["1-2"]),
            {"tickets": {"ticket": [{"id": "1-3"}]}},
            "tickets.ticket[0].id",
        ),
        (
            lambda c: c.check_tickets(["1-2"]),
            {"tickets": {"ticket": [{"done": 1}]}},
            "tickets.ticket[0].id",
        ),
        (
            lambda c: c.check_md5([MD5]),
            {"docs": {"doc": [{"md5": "0" * 32, "doc_id": "1"}]}},
            "docs.doc[0].md5",
        ),
        (lambda c: c.check_md5([MD5]), {"docs": {"doc": [{"doc_id": "1"}]}}, "docs.doc[0].md5"),
        (
            lambda c: c.get_recent_documents("1234"),
            {"docs": {"doc": [{"doc_id": "1", "owner": {"user_id": "1235"}}]}},
            "docs.doc[0].owner.user_id",
        ),
    ],
)
def test_an_answer_about_something_else_is_not_used(
    call: Call, answer: dict[str, Any], member: str
) -> None:
    with speaking(reply(answer)) as server, client_of(server) as client:
        with pytest.raises(ReplyInvalid) as caught:
            call(client)
    assert caught.value.member == member
    assert isinstance(caught.value, TransientError)
    assert_fit_to_show(caught.value)


@pytest.mark.parametrize(
    ("at", "date"),
    [
        ("9" * 400, "x"),
        ("99999999999999", "Tue, 14 Nov 99999 22:13:20 GMT"),
        ("-1", "\xff"),
        ("", "Tue, 99 Nov 2023 22:13:20 GMT"),
    ],
)
def test_a_clock_that_shows_no_time_is_no_time(at: str, date: str) -> None:
    skew = reply(
        {"api": {"status": "error", "code": "132", "at": at, "message": "x"}}, 200, f"Date: {date}"
    )
    with speaking(skew) as server, client_of(server, "oauth") as client:
        with pytest.raises(StaleSignature, match="the service does not say what time it has"):
            client.get_document(BOAT)


# -- cookies, redirects, downloads -----------------------------------------------------------------


def test_no_cookie_is_kept_and_no_netrc_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password sesame\n")
    monkeypatch.setenv("NETRC", str(netrc))
    answer = reply(DOCUMENT, 200, "Set-Cookie: session=1; Path=/")
    with (
        speaking(lambda connection: connection.sendall(answer)) as server,
        client_of(server) as client,
    ):
        for _ in range(2):
            client.get_document(BOAT)
        list(client.download(f"{server.url}/file.jpg"))
    assert len(server.requests) == 3
    for _, request in server.requests:
        head = request.partition(b"\r\n\r\n")[0].lower()
        assert b"cookie" not in head
        assert b"authorization" not in head


@pytest.mark.parametrize("auth", ["signature", "oauth"])
def test_a_download_follows_a_few_redirects_and_carries_no_secret(auth: str) -> None:
    def speak(connection: socket.socket) -> None:
        moved = http(302, PAGE, f"Location: /moved/{len(server.requests)}")
        connection.sendall(moved if len(server.requests) < 4 else http(200, b"the file"))

    with speaking(speak) as server, client_of(server, auth) as client:
        assert b"".join(client.download(f"{server.url}/5412.jpg")) == b"the file"
    sent = b"".join(request for _, request in server.requests)
    assert b"GET /moved/3 " in sent
    assert not any(secret.encode() in sent for secret in (*SECRETS, API_KEY))
    assert b"authorization" not in sent.lower()


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (http(302, b"", "Location: /again"), PermanentError, "more than 5 redirects"),
        (http(302, b"", "Location: ftp://127.0.0.1/x"), PermanentError, "not a valid address"),
        (http(302, b"", "Location: http://[::1"), PermanentError, "not a valid address"),
        (http(302, b"", "Location: //\xff\x80\x00"), PermanentError, "not a valid address"),
        (http(302, b""), PermanentError, "HTTP 302"),
        (http(403, PAGE), PermanentError, "HTTP 403"),
        (http(429, PAGE), AnswerLost, "HTTP 429"),
        (http(503, PAGE), AnswerLost, "HTTP 503"),
        (http(200, b"x" * 1001), PermanentError, "larger than 1000 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhalf", AnswerLost, "broke"),
        (drip(HEAD + b"Content-Length: 500\r\n\r\n", b"x"), AnswerLost, "in time"),
        (drip(HEAD, b"X: y\r\n"), AnswerLost, "in time"),
        (flood(HEAD + b"\r\n", b"x" * 1000), PermanentError, "larger than 1000 bytes"),
    ],
)
def test_a_download_has_an_end(
    answer: bytes | Speak, error: type[IpernityError], words: str
) -> None:
    with speaking(answer) as server, client_of(server, timeout=5.0) as client:
        started = time.monotonic()
        with pytest.raises(error, match=words) as caught:
            list(client.download(f"{server.url}/x.jpg", max_bytes=1000, total_timeout=1.0))
        assert time.monotonic() - started < 20
        assert_fit_to_show(caught.value)


# -- what is sent ----------------------------------------------------------------------------------


def test_the_checksum_that_is_handed_over_is_that_of_what_arrives(picture: Path) -> None:
    seen: list[tuple[str, int]] = []

    def note(md5: str, size: int) -> None:
        assert server.requests == []
        seen.append((md5, size))

    with speaking(reply(TICKET)) as server, client_of(server) as client:
        assert client.upload_replace(BOAT, picture, before_last_block=note).ticket == "5412-1"
    (_, request) = server.requests[0]
    content = picture.read_bytes()
    assert content in request
    assert seen == [(hashlib.md5(content).hexdigest(), len(content))]


def wait_for(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not what() and time.monotonic() < end:
        time.sleep(0.01)


class Refusal(OSError):
    """Of the kind that an HTTP library takes for a failure of the connection."""


@pytest.mark.parametrize(
    "failure",
    [Refusal(32, "x"), BrokenPipeError(), TimeoutError(), KeyError("x"), KeyboardInterrupt()],
)
@pytest.mark.parametrize("callback", ["before_last_block", "progress"])
def test_what_a_callback_raises_ends_the_upload_and_comes_out_unchanged(
    tmp_path: Path, failure: BaseException, callback: str
) -> None:
    def refuse(*_: object) -> None:
        raise failure

    file = tmp_path / "x.bin"
    file.write_bytes(b"begin" + bytes(3 << 20) + b"the end")
    arrived = b""

    def take_all(connection: socket.socket) -> None:
        nonlocal arrived
        while block := connection.recv(1 << 20):
            arrived += block

    with speaking(take_all, take_bytes=0) as server, client_of(server) as client:
        with pytest.raises(type(failure)) as caught:
            client.upload_replace(BOAT, file, **{callback: refuse})  # type: ignore[arg-type]
        assert caught.value is failure
        wait_for(lambda: bool(server.requests))
    assert b"begin" in server.requests[0][1] + arrived
    assert b"the end" not in arrived


@pytest.mark.parametrize(
    "name", ["a\r\nX-Evil: 1\r\n\r\n.jpg", 'a".jpg', "a\x00\x1b[31m\u2028.jpg", "a\udcff.jpg"]
)
def test_a_file_name_breaks_neither_the_form_nor_a_line(picture: Path, name: str) -> None:
    with speaking(refusal(1)) as server, client_of(server) as client:
        with pytest.raises(PermanentError):
            client.upload_replace(BOAT, picture, filename=name)
        with pytest.raises(TransientError) as caught:
            client.upload_replace(BOAT, picture, filename=name, expected_md5="0" * 32)
    assert_fit_to_show(caught.value)
    lines = server.requests[0][1].split(b"\r\n")
    (line,) = [line for line in lines if b"filename=" in line]
    assert line.startswith(b'Content-Disposition: form-data; name="file"; filename="a')
    assert line.endswith(b'.jpg"')
    assert line.count(b'"') == 4
    assert line.decode().isprintable()
