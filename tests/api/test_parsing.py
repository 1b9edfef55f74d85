"""What the service is known to write is read, anything else is an error that names the member."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ipernity_provider.api.errors import ReplyInvalid
from ipernity_provider.api.models import Document, Match, Media, Quota, Ticket, Token, Upload
from ipernity_provider.api.parsing import as_flag, as_int, as_text, decode, parse, parse_all
from ipernity_provider.text import clean_text

MD5 = "9e107d9d372bb6826bd81d3542a419d6"


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("12", 12),
        (12, 12),
        ("3.0", 3),
        (True, None),
        ("", None),
        (None, None),
        ([], None),
        ("-4", -4),
        ("\u0663", None),
        ("1e400", None),
        (float("inf"), None),
        (float("nan"), None),
        ("9" * 400, None),
        (2**63, None),
    ],
)
def test_numbers_come_as_text_numbers_or_not_at_all(value: Any, number: int | None) -> None:
    assert as_int(value) == number


@pytest.mark.parametrize(
    ("value", "flag"),
    [("1", True), (1, True), (True, True), ("0", False), (None, False), ([], False)],
)
def test_flags_come_as_text_numbers_or_not_at_all(value: Any, flag: bool) -> None:
    assert as_flag(value) is flag


def parse_doc(reply: dict[str, Any]) -> Document:
    return parse(Document, reply, "doc.get", "doc")


def document(**members: Any) -> Document:
    return parse_doc({"doc": {"doc_id": "5412", **members}, "api": {"status": "ok"}})


def parse_quota(reply: dict[str, Any]) -> Quota:
    return parse(Quota, reply, "account.getQuota", "quota")


def parse_token(reply: dict[str, Any]) -> Token:
    return parse(Token, reply, "auth.checkToken", "auth")


def doc_list(container: Any) -> list[str]:
    documents = parse_all(Document, {"docs": container}, "doc.getList", "docs.doc")
    return [document.doc_id for document in documents]


@pytest.mark.parametrize(
    "container", [None, [], "", {}, False, {"doc": []}, {"doc": ""}, {"doc": None}]
)
def test_an_empty_list_comes_in_many_shapes(container: Any) -> None:
    assert doc_list(container) == []


def test_a_single_child_may_come_without_its_list() -> None:
    assert doc_list({"doc": {"doc_id": "1"}}) == doc_list({"doc": [{"doc_id": "1"}]}) == ["1"]


@pytest.mark.parametrize(
    "container", ["x", 1, [1], {"doc": "x"}, {"doc": ["x"]}, {"doc": [[]]}, True]
)
def test_what_is_not_a_list_of_objects_is_said(container: Any) -> None:
    with pytest.raises(ReplyInvalid, match=r"doc\.getList: the member docs"):
        doc_list(container)


def test_ids_stay_text() -> None:
    assert as_text(5412) == as_text("5412") == "5412"
    assert as_text([]) == as_text(None) == ""


@pytest.mark.parametrize(
    ("flags", "state"),
    [
        ({"done": "1", "invalid": "0", "doc_id": "5412"}, "done"),
        ({"done": 1, "doc_id": 5412}, "done"),
        ({"done": "0", "invalid": "1", "doc_id": "0"}, "invalid"),
        ({"done": "1", "invalid": "1"}, "invalid"),
        ({"done": "0", "invalid": "0", "eta": "0"}, "pending"),
        ({"eta": "-1"}, "pending"),
        ({"eta": {"soon": 1}}, "pending"),
        ({}, "pending"),
    ],
)
def test_a_ticket_is_judged_by_done_and_invalid_alone(flags: dict[str, Any], state: str) -> None:
    ticket = parse(Ticket, {"id": "12345445-98829", **flags}, "upload.checkTickets")
    assert ticket.state == state
    assert ticket.doc_id == ("5412" if state == "done" else None)


@pytest.mark.parametrize("place", [{"md5": MD5.upper()}, {"original": {"md5": MD5}}])
def test_the_checksum_of_a_document_is_found_in_both_likely_places(place: dict[str, Any]) -> None:
    assert document(**place).md5 == MD5


def test_a_bare_document_has_nothing_but_its_id() -> None:
    members = {"doc_id": 5412, "dates": [], "original": "", "owner": None, "md5": False}
    bare = parse_doc({"doc": members, "api": []})
    assert (bare.doc_id, bare.md5, bare.bytes, bare.replaced_at, bare.asked_at) == (
        "5412",
        None,
        None,
        0,
        None,
    )


@pytest.mark.parametrize(
    ("member", "read"),
    [
        ("doc.doc_id", lambda value: document(doc_id=value)),
        ("doc.owner.user_id", lambda value: document(owner={"user_id": value})),
        ("doc.md5", lambda value: document(md5=value)),
        ("doc.original.md5", lambda value: document(original={"md5": value})),
        ("doc.original.bytes", lambda value: document(original={"bytes": value})),
        ("doc.dates.replaced_at", lambda value: document(dates={"replaced_at": value})),
        ("doc.dates.posted_at", lambda value: document(dates={"posted_at": value})),
        ("doc.link", lambda value: document(link=value)),
        ("doc", lambda value: parse_doc({"doc": value})),
        (
            "api.at",
            lambda value: parse_doc({"doc": {"doc_id": "1"}, "api": {"at": value}}),
        ),
        ("original.url", lambda value: parse(Media, {"original": {"url": value}}, "m", "original")),
        (
            "medias.media[0].ext",
            lambda value: parse_all(
                Media, {"medias": {"media": [{"ext": value}]}}, "m", "medias.media"
            ),
        ),
        ("ticket", lambda value: parse(Upload, {"ticket": value}, "upload.replace")),
        ("doc_id", lambda value: parse(Upload, {"doc_id": value}, "upload.replace")),
        ("id", lambda value: parse(Ticket, {"id": value}, "m")),
        ("done", lambda value: parse(Ticket, {"id": "1", "done": value}, "m")),
        (
            "docs.doc[0].md5",
            lambda value: parse_all(Match, {"docs": {"doc": [{"md5": value}]}}, "m", "docs.doc"),
        ),
        ("doc.dates", lambda value: document(dates=value)),
        ("doc.original", lambda value: document(original=value)),
        ("quota.upload.left", lambda value: parse_quota({"quota": {"upload": {"left": value}}})),
        ("quota.is_pro", lambda value: parse_quota({"quota": {"is_pro": value}})),
        (
            "quota.upload.used.bytes",
            lambda value: parse_quota({"quota": {"upload": {"used": {"bytes": value}}}}),
        ),
        (
            "quota.maxfilesize.photo",
            lambda value: parse_quota({"quota": {"maxfilesize": {"photo": value}}}),
        ),
        (
            "auth.user.user_id",
            lambda value: parse_token({"auth": {"user": {"user_id": value}}}),
        ),
        (
            "auth.permissions",
            lambda value: parse_token({"auth": {"user": {"user_id": 1}, "permissions": value}}),
        ),
    ],
)
@pytest.mark.parametrize(
    "value",
    [
        "x y",
        "\u0663",
        "12\n3",
        "-1",
        "9" * 70,
        10**400,
        [[]],
        ["1"],
        float("nan"),
        "\ud800",
        "../1",
        "javascript:1",
    ],
    ids=ascii,
)
def test_a_value_of_another_kind_is_an_error_that_names_the_member(
    member: str, read: Any, value: Any
) -> None:
    with pytest.raises(ReplyInvalid) as caught:
        read(value)
    assert caught.value.member == member
    assert f"the member {member} of the answer is " in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("read", "member"),
    [
        (lambda: parse_doc({}), "doc"),
        (lambda: parse_doc({"doc": {"title": "x"}}), "doc.doc_id"),
        (lambda: parse_doc({"doc": {"doc_id": "0"}}), "doc.doc_id"),
        (lambda: parse_quota({"quota": ""}), "quota"),
        (lambda: parse_token({"auth": {"permissions": {"doc": "write"}}}), "auth.user"),
    ],
)
def test_a_member_that_must_be_there_is_missed_by_name(read: Any, member: str) -> None:
    with pytest.raises(ReplyInvalid) as caught:
        read()
    assert caught.value.member == member


def test_texts_are_printable_and_have_an_end() -> None:
    title = document(title="A\r\nboat\x00\x1b[31m \u202eevil " + "x" * 100_000).title
    assert title.startswith("A boat\ufffd\ufffd[31m \ufffdevil xxx")
    assert len(title) <= 64 << 10
    assert clean_text("  L'été\u00a0à la mer  ") == "L'été\u00a0à la mer"


def test_half_surrogates_are_replaced_and_pairs_are_kept() -> None:
    decoded = decode(rb'{"api": 1, "a": "\ud83d\ude00 \ud800 x \\ud800 \udc00\ud800", "\udfff": 1}')
    assert decoded == {"api": 1, "a": "\U0001f600 \ufffd x \\ud800 \ufffd\ufffd", "\ufffd": 1}
    json.dumps(decoded, ensure_ascii=False).encode()


@pytest.mark.parametrize("name", ["permissions", "perms"])
def test_permissions_are_read_under_both_names_and_a_higher_level_contains_the_lower(
    name: str,
) -> None:
    user = {"user_id": "1234", "username": "Superman"}
    token = parse_token({"auth": {"user": user, name: {"doc": "write", "blog": "none"}}})
    assert token.allows("doc", "write")
    assert token.allows("doc", "read")
    assert not token.allows("doc", "delete")
    assert not token.allows("network", "read")


def test_a_quota_that_says_nothing_limits_nothing() -> None:
    quota = parse_quota(
        {"quota": {"upload": [], "maxfilesize": {"photo": {"bytes": "104857600"}, "audio": []}}}
    )
    assert (quota.is_pro, quota.left_bytes, quota.max_file_bytes) == (
        None,
        None,
        {"photo": 104857600},
    )
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
        ("0", {"bytes": "-7"}, False, 0),
        ("0", [], False, None),
    ],
)
def test_an_unlimited_volume_is_none_to_count_with(
    told: Any, left: Any, unlimited: bool, spendable: int | None
) -> None:
    quota = parse_quota({"quota": {"upload": {"unlimited": told, "left": left}}})
    assert (quota.unlimited, quota.spendable_bytes) == (unlimited, spendable)
