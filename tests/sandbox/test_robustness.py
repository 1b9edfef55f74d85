"""Requests that are not well-formed are answered, with an error of the API where one fits."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.version import Version

from tests.sandbox.caller import KEY, Caller, jpeg, raw, signature, signed
from tests.sandbox.test_server import started

aiohttp_version = Version(version("aiohttp"))
NEW = jpeg("crimson")
FILE = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n'
BROKEN = {
    "a file without an end": FILE + b"\r\nbytes without an end",
    "no boundary in the body": b"no boundary at all",
    "headers without an end": FILE,
    "a part without a disposition": b"--x\r\n\r\nvalue\r\n--x--\r\n",
    "a part without a name": b"--x\r\nContent-Disposition: form-data\r\n\r\nvalue\r\n--x--\r\n",
    "a disposition that is not one": b"--x\r\nContent-Disposition: ;;=;\r\n\r\nvalue\r\n--x--\r\n",
    "a multipart in a multipart": (
        b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y--\r\n--x--\r\n"
    ),
    "a header without a colon": FILE + b"nonsense\r\n\r\nbytes\r\n--x--\r\n",
    "a header without an end": FILE + b"X: " + bytes(100_000),
}
if aiohttp_version >= Version("3.14"):  # older ones take as many as there are
    BROKEN["very many headers"] = (
        FILE + b"".join(b"X-%d: 1\r\n" % n for n in range(300)) + b"\r\nbytes\r\n--x--\r\n"
    )


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_a_multipart_body_that_is_not_well_formed_is_an_api_error(
    sandbox: Caller, body: bytes
) -> None:
    for content_type in ("multipart/form-data; boundary=x", "multipart/form-data"):
        response = sandbox.http.post(
            sandbox.url("upload.replace"), data=body, headers={"Content-Type": content_type}
        )
        assert response.status_code == 200, response.text
        error = response.json()["api"]
        assert error["code"] == "900"
        assert error["message"] == "ipernity sandbox: the multipart body is not well-formed"
    assert sandbox.control("ledger") == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"},
        {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "deflate"},
        {"Content-Type": "text/plain", "Content-Encoding": "gzip"},
    ],
)
def test_a_body_that_cannot_be_decoded_is_an_api_error(
    sandbox: Caller, headers: dict[str, str]
) -> None:
    response = sandbox.http.post(sandbox.url("test.echo"), data=b"not compressed", headers=headers)
    assert (response.status_code, sandbox.code(response.json())) == (200, "900")


def upload_with_disposition(sandbox: Caller, disposition: bytes) -> str:
    """Send a file with this Content-Disposition; return the name that the service stored."""
    fields = signed("upload.replace", doc_id="5412")
    body = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
        % (name.encode(), value.encode())
        for name, value in fields.items()
    )
    body += b"--x\r\nContent-Disposition: " + disposition + b"\r\n\r\n" + NEW + b"\r\n--x--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    reply = sandbox.http.post(sandbox.url("upload.replace"), data=body, headers=headers).json()
    assert sandbox.wait(reply["ticket"])["done"] == "1"
    stored = sandbox.doc("5412")["original"]["filename"]
    assert stored == sandbox.control("ledger")[0]["filename"]
    assert "doc_id" in sandbox.page("/doc/1234/5412")
    xml = sandbox.http.get(sandbox.url("doc.get", "xml"), params=signed("doc.get", doc_id="5412"))
    assert 'status="ok"' in xml.text
    return str(stored)


@pytest.mark.parametrize(
    ("disposition", "stored"),
    [
        (b'form-data; name="file"; filename="tab\there.jpg"', "tab\ufffdhere.jpg"),
        (
            b"form-data; name=\"file\"; filename*=UTF-8''line%0D%0Abreak.jpg",
            "line\ufffd\ufffdbreak.jpg",
        ),
        (b"form-data; name=\"file\"; filename*=UTF-8''esc%1B%5B31m.jpg", "esc\ufffd[31m.jpg"),
        (b"form-data; name=\"file\"; filename*=UTF-8''nul%00%E2%80%A8.jpg", "nul\ufffd\ufffd.jpg"),
        (b'form-data; name="file"; filename="latin-\xe4.jpg"', "latin-\ufffd.jpg"),
        (
            'form-data; name="file"; filename="Fähre 船 👩\u200d🚀.jpg"'.encode(),
            "Fähre 船 👩\u200d🚀.jpg",
        ),
        (b'form-data; name="file"; filename="C:\\\\pictures\\\\boat.jpg"', "boat.jpg"),
        (b'form-data; name="file"; filename="../../etc/passwd"', "passwd"),
        (b'form-data; name="file"; filename="<b>.jpg"', "<b>.jpg"),
        (b'form-data; name="file"; filename=""', ""),
    ],
)
def test_a_file_name_is_stored_without_what_would_break_a_line(
    sandbox: Caller, disposition: bytes, stored: str
) -> None:
    assert upload_with_disposition(sandbox, disposition) == stored


def test_the_last_of_a_doubled_parameter_wins(sandbox: Caller) -> None:
    fields = {"api_key": KEY, "lg": "en", "echo": "second"}
    good = {**fields, "api_sig": signature(fields, "test.echo")}
    query = [("echo", "first"), *good.items()]
    assert sandbox.http.get(sandbox.url("test.echo"), params=query).json()["echo"] == "second"
    assert sandbox.http.post(sandbox.url("test.echo"), data=query).json()["echo"] == "second"
    parts = [(name, (None, value)) for name, value in query]
    assert sandbox.http.post(sandbox.url("test.echo"), files=parts).json()["echo"] == "second"
    wrong = [*good.items(), ("echo", "first")]
    assert sandbox.code(sandbox.http.get(sandbox.url("test.echo"), params=wrong).json()) == "105"


def test_a_field_of_the_body_wins_over_the_query(sandbox: Caller) -> None:
    fields = {"api_key": KEY, "lg": "en", "echo": "body"}
    response = sandbox.http.post(sandbox.url("test.echo"), params={"echo": "query"}, data=fields)
    assert response.json()["echo"] == "body"


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("doc.set", {"doc_id": "5412", "license": "²"}, "3"),
        ("doc.set", {"doc_id": "5412", "license": "9" * 5000}, "3"),
        ("upload.file", {"license": "²"}, "900"),
        ("upload.file", {"safety": "9"}, "900"),
        ("upload.file", {"lat": "north"}, "900"),
    ],
)
def test_what_is_not_a_number_is_an_api_error(
    sandbox: Caller, method: str, params: dict[str, str], code: str
) -> None:
    assert sandbox.code(sandbox.send(method, NEW, **params)) == code


def test_numbers_of_any_length_are_read(sandbox: Caller) -> None:
    docs = sandbox.get("doc.getList", page="9" * 5000, per_page="²")["docs"]
    assert (docs["page"], docs["per_page"]) == ("1", "20")


def test_a_new_document_has_the_place_and_the_safety_that_were_sent(sandbox: Caller) -> None:
    reply = sandbox.send("upload.file", NEW, safety="2", lat="47.5", lng="-2.5", license="9")
    doc = sandbox.doc(sandbox.wait(reply["ticket"])["doc_id"], extra="geo")
    assert (doc["safety"], doc["license"]) == ("2", "9")
    assert (doc["geo"]["lat"], doc["geo"]["lng"]) == ("47.5", "-2.5")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"{", "application/json"),
        (b"\xff", "application/json"),
        (b"{}", "application/json; charset=no-such-charset"),
        (b"[" * 100_000, "application/json"),
        (b'{"count": 1, "ready_in": [0, 1e999]}', "application/json"),
        (b'{"count": true, "ready_in": [0, 1]}', "application/json"),
    ],
)
def test_a_control_call_that_is_not_valid_is_a_bad_request(
    sandbox: Caller, body: bytes, content_type: str
) -> None:
    address = f"{sandbox.root}/_sandbox/tickets"
    response = sandbox.http.post(address, data=body, headers={"Content-Type": content_type})
    assert response.status_code == 400
    assert sandbox.control("tickets") == []


def test_nothing_that_is_wrong_with_a_request_leaves_a_traceback(tmp_path: Path) -> None:
    lines = [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        # aiohttp 3.14.1 drops such a connection, with a traceback of its own.
        *(
            [b"GET http://[::1 HTTP/1.1\r\nHost: localhost\r\n\r\n"]
            if aiohttp_version >= Version("3.14.5")
            else []
        ),
        b"GET / HTTP/1.1\r\nHost: localhost:99999\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: caf\xe9\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET /%zz%ff%00?%zz=%ff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /api/%0a%1b%ff/%0a?lg=%ff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /cdn/200/1/2/5412%00.jpg HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /apps/authorize?api_key=%ed%a0%80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        (
            b"GET /apps/oauth/request HTTP/1.1\r\nHost: localhost\r\n"
            b"Authorization: OAuth a=\xff,,=\r\n\r\n"
        ),
        b"POST /apps/authorize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx",
        (
            b"POST /api/test.echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"zz\r\n\r\n"
        ),
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        *(
            b"POST " + path + b" HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + kind + b"\r\n"
            b"Content-Encoding: gzip\r\nContent-Length: 14\r\n\r\nnot compressed"
            for path, kind in [
                (b"/api/test.echo", b"text/plain"),
                (b"/api/test.echo", b"application/x-www-form-urlencoded"),
                (b"/_sandbox/reset", b"application/json"),
                (b"/apps/authorize", b"application/x-www-form-urlencoded"),
            ]
        ),
        *(
            b"POST /api/upload.replace HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: %d\r\n\r\n"
            % len(body)
            + body
            for body in BROKEN.values()
        ),
    ]
    with started(tmp_path) as (process, sandbox):
        statuses = [raw(sandbox, line)[0] for line in lines]
        assert 500 not in statuses, statuses
        assert sandbox.get("test.hello")["hello"] == "hello world!"
        process.terminate()
        out, err = process.communicate(timeout=10)
        assert (out, err) == ("", "")
