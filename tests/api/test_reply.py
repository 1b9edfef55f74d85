from __future__ import annotations

import json
from typing import Any

import pytest

from ipernity_provider.api.errors import AnswerLost, IpernityError, PermanentError, RateLimited, ServiceDown
from ipernity_provider.api.models import Document, Quota, Ticket, Token
from ipernity_provider.api.reply import as_flag, as_int, as_list, as_text, parse_reply


def body(payload: Any) -> bytes:
    return json.dumps(payload).encode()


def test_a_payload_is_returned_with_its_envelope() -> None:
    reply = {"ticket": "12345445-98829", "api": {"status": "ok", "at": "1700000000"}}
    assert parse_reply("upload.replace", 200, body(reply)) == reply


@pytest.mark.parametrize("code", [107, "107"])
def test_an_error_code_is_read_as_number_or_text(code: Any) -> None:
    with pytest.raises(IpernityError) as caught:
        parse_reply(
            "doc.get", 200, body({"api": {"status": "error", "code": code, "message": "Token invalid"}})
        )
    assert (caught.value.code, caught.value.title, caught.value.method) == (107, "Token invalid", "doc.get")


def test_an_error_in_the_body_counts_more_than_the_http_status() -> None:
    with pytest.raises(ServiceDown):
        parse_reply("doc.get", 500, body({"api": {"status": "error", "code": 503, "message": ""}}))


@pytest.mark.parametrize(
    ("status", "answer", "error", "words"),
    [
        (200, b"<!DOCTYPE html><h1>Maintenance</h1>", AnswerLost, "a web page instead of data"),
        (200, b'{"ticket": "12345445-98829", "api": {"sta', AnswerLost, "cut off"),
        (200, b"", AnswerLost, "nothing instead of data"),
        (200, b"[]", AnswerLost, "unreadable"),
        (200, b'{"api": {"status": "error"}}', AnswerLost, "neither a result nor an error code"),
        (200, b'{"api": "ok"}', AnswerLost, "neither a result nor an error code"),
        (502, b"<html>", AnswerLost, "HTTP 502"),
        (429, b"", RateLimited, "too many calls"),
        (403, b"<html>", PermanentError, "HTTP 403 and a web page"),
        (302, b"", PermanentError, "another address"),
    ],
)
def test_what_is_not_the_services_answer_gives_one_sentence(
    status: int, answer: bytes, error: type[IpernityError], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        parse_reply("upload.replace", status, answer)
    assert type(caught.value) is error
    assert str(caught.value).startswith("upload.replace: ")


@pytest.mark.parametrize(
    ("value", "number"), [("12", 12), (12, 12), ("3.0", 3), (True, 1), ("", None), (None, None), ([], None)]
)
def test_numbers_come_as_text_numbers_or_not_at_all(value: Any, number: int | None) -> None:
    assert as_int(value) == number


@pytest.mark.parametrize(
    ("value", "flag"), [("1", True), (1, True), (True, True), ("0", False), (None, False), ([], False)]
)
def test_flags_come_as_text_numbers_or_not_at_all(value: Any, flag: bool) -> None:
    assert as_flag(value) is flag


@pytest.mark.parametrize("container", [None, [], "", {}, {"doc": []}, {"doc": ""}, {"doc": None}])
def test_an_empty_list_comes_in_many_shapes(container: Any) -> None:
    assert as_list(container, "doc") == []


def test_a_single_child_may_come_without_its_list() -> None:
    assert (
        as_list({"doc": {"doc_id": "1"}}, "doc")
        == as_list({"doc": [{"doc_id": "1"}]}, "doc")
        == [{"doc_id": "1"}]
    )


def test_ids_stay_text() -> None:
    assert as_text(5412) == as_text("5412") == "5412"
    assert as_text([]) == as_text(None) == ""


@pytest.mark.parametrize(
    ("flags", "state"),
    [
        ({"done": "1", "invalid": "0", "doc_id": "5412"}, "done"),
        ({"done": 1, "doc_id": 5412}, "done"),
        ({"done": "0", "invalid": "1"}, "invalid"),
        ({"done": "1", "invalid": "1"}, "invalid"),
        ({"done": "0", "invalid": "0", "eta": "0"}, "pending"),
        ({}, "pending"),
    ],
)
def test_a_ticket_is_judged_by_done_and_invalid_alone(flags: dict[str, Any], state: str) -> None:
    ticket = Ticket.from_payload({"id": "12345445-98829", **flags})
    assert ticket.state == state
    assert ticket.doc_id == ("5412" if state == "done" else None)


@pytest.mark.parametrize("place", [{"md5": "ABC"}, {"original": {"md5": "abc"}}])
def test_the_checksum_of_a_document_is_found_in_both_likely_places(place: dict[str, Any]) -> None:
    assert Document.from_reply({"doc": {"doc_id": "1", **place}}).md5 == "abc"


def test_a_bare_document_has_nothing_but_its_id() -> None:
    document = Document.from_reply(
        {"doc": {"doc_id": 5412, "dates": [], "original": "", "owner": None}, "api": []}
    )
    assert (document.doc_id, document.md5, document.bytes, document.replaced_at, document.asked_at) == (
        "5412",
        None,
        None,
        0,
        None,
    )


@pytest.mark.parametrize("name", ["permissions", "perms"])
def test_permissions_are_read_under_both_names_and_a_higher_level_contains_the_lower(name: str) -> None:
    token = Token.from_reply(
        {"auth": {"user": {"username": "Superman"}, name: {"doc": "write", "blog": "none"}}}
    )
    assert token.allows("doc", "write")
    assert token.allows("doc", "read")
    assert not token.allows("doc", "delete")
    assert not token.allows("network", "read")


def test_a_quota_that_says_nothing_limits_nothing() -> None:
    quota = Quota.from_reply(
        {"quota": {"upload": [], "maxfilesize": {"photo": {"bytes": "104857600"}, "audio": []}}}
    )
    assert (quota.is_pro, quota.left_bytes, quota.max_file_bytes) == (None, None, {"photo": 104857600})
    assert (quota.unlimited, quota.spendable_bytes) == (False, None)


@pytest.mark.parametrize(
    ("told", "left", "unlimited", "spendable"),
    [
        ("1", {"bytes": "7"}, True, None),
        (1, [], True, None),
        (True, {"bytes": 7}, True, None),
        ("0", {"bytes": "7"}, False, 7),
        ("", {"bytes": "7"}, False, 7),
        (None, {"bytes": "7"}, False, 7),
        ("0", [], False, None),
    ],
)
def test_an_unlimited_volume_is_none_to_count_with(
    told: Any, left: Any, unlimited: bool, spendable: int | None
) -> None:
    quota = Quota.from_reply({"quota": {"upload": {"unlimited": told, "left": left}}})
    assert (quota.unlimited, quota.spendable_bytes) == (unlimited, spendable)
