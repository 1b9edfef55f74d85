"""Whose word an answer is: decided without a connection."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ipernity_provider.api.errors import (
    AnswerLost,
    BrokenOff,
    DocumentNotFound,
    IpernityError,
    PermanentError,
    RateLimited,
    ServiceDown,
    TransientError,
)
from ipernity_provider.api.exchange import Answer, parse_reply
from tests.api.raw_server import PAGE


def body(payload: Any) -> bytes:
    return json.dumps(payload).encode()


OK = {"status": "ok", "at": "1700000000"}


@pytest.mark.parametrize("prefix", [b"", b"\xef\xbb\xbf", b"\n  "])
def test_a_payload_is_returned_with_its_envelope(prefix: bytes) -> None:
    reply = {"ticket": "12345445-98829", "api": OK}
    assert (
        parse_reply("upload.replace", Answer(200, prefix + body(reply), upload_ended=True)) == reply
    )


@pytest.mark.parametrize("code", [107, "107"])
def test_an_error_code_is_read_as_number_or_text(code: Any) -> None:
    refused = body({"api": {"status": "error", "code": code, "message": "Token invalid"}})
    with pytest.raises(IpernityError) as caught:
        parse_reply("doc.get", Answer(200, refused))
    assert (caught.value.code, caught.value.title, caught.value.method) == (
        107,
        "Token invalid",
        "doc.get",
    )


@pytest.mark.parametrize("status", [200, 302, 404, 500])
def test_an_error_in_the_body_counts_more_than_the_http_status(status: int) -> None:
    with pytest.raises(ServiceDown):
        parse_reply(
            "doc.get",
            Answer(status, body({"api": {"status": "error", "code": 503, "message": ""}})),
        )


def test_the_services_xml_is_its_word_too() -> None:
    refused = (
        b'<?xml version="1.0" encoding="utf-8"?>\n<api status="error" code="4" message="Document '
        b'not found"></api>'
    )
    with pytest.raises(DocumentNotFound, match="Document not found") as caught:
        parse_reply("upload.replace", Answer(200, refused, upload_ended=True))
    assert not caught.value.maybe_accepted
    accepted = b'<api status="ok" at="1700000000"><ticket>12-34</ticket></api>'
    assert (
        parse_reply("upload.replace", Answer(200, accepted, upload_ended=True))["ticket"] == "12-34"
    )


@pytest.mark.parametrize(
    "xml",
    [
        (
            b'<!DOCTYPE api [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><api status="error" '
            b'code="4">&b;</api>'
        ),
        b'<api status="error" code="4">',
        b'<apix status="error" code="4"/>',
        b'<api status="error" code="4" code="5"/>',
        b"<api>" + b"<a>" * 10_000,
        b'<api status="error" code="4">' + b" " * (1 << 20) + b"</api>",
    ],
)
def test_xml_that_is_not_an_envelope_says_nothing(xml: bytes) -> None:
    with pytest.raises(AnswerLost) as caught:
        parse_reply("upload.replace", Answer(200, xml, upload_ended=True))
    assert caught.value.maybe_accepted


NOT_THE_SERVICE = [
    b"",
    PAGE,
    b"[]",
    b"null",
    b"{}",
    b'{"ticket": "1", "api": {"sta',
    body({"api": []}),
    body({"api": "ok"}),
    body({"api": {}}),
    body({"api": {"status": "error"}}),
    body({"api": {"code": 4}}),
    body({"api": {"status": ["ok"]}}),
    body({"api": {"status": "error", "code": "four"}}),
    body({"api": {"status": "error", "code": -4}}),
    b'{"api": {"status": "error", "code": ' + b"4" * 5000 + b"}}",
    b'{"api": ' + b"[" * 100_000,
    b"\xff\xfe" + '{"api": {"status": "ok"}}'.encode("utf-16-le"),
]


@pytest.mark.parametrize("answer", NOT_THE_SERVICE, ids=range(len(NOT_THE_SERVICE)))
@pytest.mark.parametrize(
    "status", [200, 204, 301, 302, 304, 400, 403, 404, 409, 413, 429, 499, 500, 502, 503, 999]
)
def test_an_upload_that_nobody_answers_for_may_have_arrived(status: int, answer: bytes) -> None:
    with pytest.raises(TransientError, match=r"The file may have arrived\.$") as caught:
        parse_reply("upload.replace", Answer(status, answer, upload_ended=True))
    assert caught.value.maybe_accepted
    assert type(caught.value) is (RateLimited if status == 429 else AnswerLost)


@pytest.mark.parametrize("status", [201, 302, 404, 500, 999])
def test_an_ok_with_an_http_status_that_contradicts_it_is_checked_or_asked_for_again(
    status: int,
) -> None:
    answer = Answer(status, body({"ticket": "1", "api": OK}), upload_ended=True)
    if status == 201:
        assert parse_reply("upload.replace", answer)["ticket"] == "1"
        return
    with pytest.raises(AnswerLost) as caught:
        parse_reply("upload.replace", answer)
    assert caught.value.maybe_accepted


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (200, BrokenOff),
        (302, BrokenOff),
        (408, BrokenOff),
        (429, RateLimited),
        (502, BrokenOff),
        (400, PermanentError),
        (403, PermanentError),
        (413, PermanentError),
    ],
)
def test_nothing_arrived_of_an_upload_that_a_page_ends_before_its_last_block(
    status: int, error: type[IpernityError]
) -> None:
    with pytest.raises(error, match="before the file was through; nothing was replaced") as caught:
        parse_reply("upload.replace", Answer(status, PAGE, upload_ended=False))
    assert type(caught.value) is error
    assert not caught.value.maybe_accepted


def test_an_acceptance_before_the_last_block_is_doubted() -> None:
    with pytest.raises(AnswerLost, match="before the whole file was sent") as caught:
        parse_reply(
            "upload.replace", Answer(200, body({"ticket": "1", "api": OK}), upload_ended=False)
        )
    assert caught.value.maybe_accepted


@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize(
    ("code", "doubtful"),
    [(code, False) for code in (1, 2, 3, 4, 5, 6, 99, 100, 105, 107, 110, 120, 199)]
    + [(code, True) for code in (112, 113, 132, 133, 134, 500, 501, 503, 599)],
)
def test_a_refusal_is_one_unless_it_may_follow_an_acceptance(
    code: int, doubtful: bool, ended: bool
) -> None:
    refused = Answer(200, body({"api": {"status": "error", "code": code, "message": "no"}}))
    with pytest.raises(IpernityError) as caught:
        parse_reply("upload.replace", replace(refused, upload_ended=ended))
    assert caught.value.maybe_accepted is (doubtful and ended)
    assert ("The file may have arrived." in str(caught.value)) is (doubtful and ended)


@pytest.mark.parametrize(
    ("status", "answer", "error", "words"),
    [
        (200, PAGE, AnswerLost, "a web page instead of data"),
        (200, b'{"ticket": "12345445-98829", "api": {"sta', AnswerLost, "cut off"),
        (200, b"", AnswerLost, "nothing instead of data"),
        (200, b"[]", AnswerLost, "unreadable"),
        (200, b'{"api": {"status": "error"}}', AnswerLost, "neither a result nor an error code"),
        (408, PAGE, AnswerLost, "HTTP 408"),
        (421, PAGE, AnswerLost, "HTTP 421"),
        (423, PAGE, AnswerLost, "HTTP 423"),
        (425, PAGE, AnswerLost, "HTTP 425"),
        (502, b"<html>", AnswerLost, "HTTP 502"),
        (503, b"<html>", AnswerLost, "HTTP 503"),
        (504, b"<html>", AnswerLost, "HTTP 504"),
        (999, b"{}", AnswerLost, "HTTP 999"),
        (429, b"", RateLimited, "too many calls"),
        (302, b"", AnswerLost, "nothing instead of data"),
        (401, b"<html>", PermanentError, "HTTP 401 and a web page"),
        (403, b"<html>", PermanentError, "HTTP 403 and a web page"),
        (404, b"<html>", PermanentError, "HTTP 404 and a web page"),
        (405, b"<html>", PermanentError, "HTTP 405 and a web page"),
    ],
)
def test_a_reading_call_says_whether_to_try_again(
    status: int, answer: bytes, error: type[IpernityError], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        parse_reply("doc.get", Answer(status, answer))
    assert type(caught.value) is error
    assert str(caught.value).startswith("doc.get: ")


@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("https://www.example.org/api/doc.get/json", PermanentError),
        ("/maintenance.html", AnswerLost),
        ("https://[::1/api/doc.get/json", AnswerLost),
        ("", AnswerLost),
    ],
)
def test_a_redirect_leads_to_the_same_call_or_to_some_page(
    location: str, error: type[IpernityError]
) -> None:
    with pytest.raises(error) as caught:
        parse_reply("doc.get", Answer(301, b"", {"Location": location}))
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 120 ", 120.0),
        ("999999999999", 21600.0),
        ("9" * 5000, None),
        ("-5", None),
        ("soon", None),
        ("\u0663", None),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 0.0),
        ("Tue, 14 Nov 99999 22:14:20 GMT", None),
        ("Tue, 99 Nov 2023 22:14:20 GMT", None),
        ("", None),
    ],
)
def test_the_pause_that_is_asked_for_is_read_as_seconds(value: str, seconds: float | None) -> None:
    # The date is that of the answer: this machine's clock does not come into it.
    headers = {"Retry-After": value, "Date": "Tue, 14 Nov 2023 22:13:20 GMT"}
    answer = Answer(503, body({"api": {"status": "error", "code": 503, "message": ""}}), headers)
    assert answer.retry_after == seconds
    with pytest.raises(ServiceDown) as caught:
        parse_reply("doc.get", answer)
    assert caught.value.retry_after == seconds
    again = TransientError.from_json(json.loads(json.dumps(caught.value.to_json())))
    assert (type(again), again.retry_after, str(again)) == (ServiceDown, seconds, str(caught.value))
