from __future__ import annotations

import pytest
import requests

from ipernity_provider.sandbox.api_sig import api_sig
from tests.sandbox.caller import KEY, OAUTH_TOKEN, SECRET, TOKEN, Caller, jpeg, signature, signed

NATIVE = {"api_key": KEY, "auth_token": TOKEN}


@pytest.mark.parametrize(
    ("method", "params", "expected"),
    [
        (
            "doc.tags.add",
            {"api_key": KEY, "doc_id": "1234", "keywords": "easy"},
            "a269b218feb341ef03bc093a0f2c8078",
        ),
        ("", {"api_key": KEY, "perm_network": "read"}, "da183021cd39461108770b822fcd9398"),
        ("auth.getFrob", {"api_key": KEY}, "302693cca51f35c48d656cb3338a994a"),
        (
            "test.echo",
            {"api_key": KEY, "echo": "Hallo Überfluß"},
            "5f3b1ce5d79eea1070925efa2c451705",
        ),
        (
            "upload.replace",
            {**NATIVE, "doc_id": "5412", "async": "1", "file": "not signed"},
            "e1cc6305068556b6546d13550320d233",
        ),
        (
            "upload.replace",
            {**NATIVE, "doc_id": "5412", "async": "0"},
            "3bfa55c580f8035dbd901571945fd744",
        ),
        (
            "upload.replace",
            {**NATIVE, "doc_id": "5412", "async": "1", "lg": "en"},
            "b2c262d0fd973f2d781d71ad5f9884d4",
        ),
        (
            "upload.checkTickets",
            {**NATIVE, "tickets": "12345445-98829,712311"},
            "5581d37eb45a7d7a90fa805e3c63f78e",
        ),
        ("doc.set", {**NATIVE, "doc_id": "5412", "title": ""}, "55103b62fc985e5a13f584b9af489d48"),
    ],
)
def test_the_signature_is_the_documented_one(
    method: str, params: dict[str, str], expected: str
) -> None:
    assert api_sig(params, SECRET, method) == expected


@pytest.mark.parametrize(("api_key", "code"), [(None, "100"), ("", "100"), ("0" * 32, "101")])
def test_the_key_is_checked_first(sandbox: Caller, api_key: str | None, code: str) -> None:
    params = {"lg": "en"} if api_key is None else {"lg": "en", "api_key": api_key}
    reply = sandbox.http.get(sandbox.url("test.hello"), params=params).json()
    assert sandbox.code(reply) == code


def test_a_missing_and_a_wrong_signature_have_different_codes(sandbox: Caller) -> None:
    fields = signed("account.getQuota")
    wrong = sandbox.http.get(
        sandbox.url("account.getQuota"), params={**fields, "extra": "unsigned"}
    ).json()
    assert sandbox.code(wrong) == "105"
    del fields["api_sig"]
    assert (
        sandbox.code(sandbox.http.get(sandbox.url("account.getQuota"), params=fields).json())
        == "104"
    )


def test_a_wrong_signature_is_refused_where_it_is_not_required(sandbox: Caller) -> None:
    params = {"api_key": KEY, "lg": "en", "api_sig": "0" * 32}
    assert sandbox.code(sandbox.http.get(sandbox.url("test.hello"), params=params).json()) == "105"


def test_a_signature_is_accepted_where_it_is_not_required(sandbox: Caller) -> None:
    assert sandbox.get("test.hello", token=None)["hello"] == "hello world!"


def test_the_value_0_is_signed_as_it_is(sandbox: Caller) -> None:
    params = {"async": "0", "doc_id": "5412"}
    assert sandbox.send("upload.replace", jpeg(), **params)["api"]["status"] == "ok"
    fields = signed("upload.replace", **params)
    without = {name: value for name, value in fields.items() if name not in ("api_sig", "async")}
    fields["api_sig"] = signature(without, "upload.replace")
    reply = sandbox.http.post(
        sandbox.url("upload.replace"), data=fields, files={"file": ("a.jpg", jpeg())}
    ).json()
    assert sandbox.code(reply) == "105"


def test_a_token_is_needed_and_must_be_known(sandbox: Caller) -> None:
    assert sandbox.code(sandbox.get("account.getQuota", token=None)) == "106"
    assert sandbox.code(sandbox.get("account.getQuota", token="1-nobody")) == "107"
    assert sandbox.code(sandbox.get("doc.get", token="1-nobody", doc_id="5413")) == "107"
    assert sandbox.code(sandbox.get("account.getQuota", token=OAUTH_TOKEN)) == "107"


def test_a_revoked_token_is_invalid(sandbox: Caller) -> None:
    assert sandbox.get("auth.checkToken")["auth"]["token"] == TOKEN
    revoke = f"{sandbox.root}/_sandbox/tokens/revoke"
    assert sandbox.http.post(revoke, json={"token": TOKEN}).status_code == 200
    assert sandbox.code(sandbox.get("auth.checkToken")) == "107"
    assert sandbox.http.post(revoke, json={"token": TOKEN}).status_code == 404


@pytest.mark.parametrize(
    ("level", "method", "code"),
    [
        ("read", "upload.checkTickets", "110"),
        ("read", "account.getQuota", "110"),
        ("none", "doc.checkMD5", "110"),
        ("read", "doc.checkMD5", "1"),
        ("write", "upload.checkTickets", "1"),
    ],
)
def test_a_method_asks_for_its_permission(
    sandbox: Caller, level: str, method: str, code: str
) -> None:
    sandbox.change(permissions={"doc": level})
    assert sandbox.code(sandbox.get(method)) == code


@pytest.mark.parametrize(
    ("level", "method"),
    [
        ("write", "doc.delete"),
        ("read", "doc.set"),
        ("read", "upload.file"),
        ("none", "upload.replace"),
    ],
)
def test_a_writing_method_asks_for_its_permission(sandbox: Caller, level: str, method: str) -> None:
    sandbox.change(permissions={"doc": level})
    assert sandbox.code(sandbox.post(method, doc_id="5412", title="x")) == "110"


@pytest.mark.parametrize("method", ["upload.file", "upload.replace", "doc.set", "doc.delete"])
def test_writing_methods_want_post(sandbox: Caller, method: str) -> None:
    assert sandbox.code(sandbox.get(method, doc_id="5412")) == "120"


def test_reading_methods_take_post_too_urlencoded_or_multipart(sandbox: Caller) -> None:
    assert sandbox.post("test.echo", echo="ä & + ü")["echo"] == "ä & + ü"
    assert (
        sandbox.send("test.echo", b"a file nobody asked for", echo="ä & + ü")["echo"] == "ä & + ü"
    )


def test_a_post_to_api_methods_get_is_refused(sandbox: Caller) -> None:
    url, params = sandbox.url("api.methods.get"), {"api_key": KEY, "lg": "en", "method": "doc.get"}
    assert sandbox.code(sandbox.http.post(url, data=params).json()) == "103"
    assert sandbox.http.get(url, params=params).json()["method"]["name"] == "doc.get"


@pytest.mark.parametrize("path", ["no.such", "doc.albums.add", "UPLOAD.FILE"])
def test_an_unknown_method_is_103(sandbox: Caller, path: str) -> None:
    assert sandbox.code(sandbox.get(path)) == "103"


@pytest.mark.parametrize("reply_format", ["yaml", "JSON"])
def test_an_unknown_format_is_102(sandbox: Caller, reply_format: str) -> None:
    response = sandbox.http.get(
        sandbox.url("test.hello", reply_format), params=signed("test.hello")
    )
    assert sandbox.code(response.json()) == "102"


def test_without_lg_the_filter_in_front_of_the_service_answers(sandbox: Caller) -> None:
    def hello() -> requests.Response:
        return sandbox.http.get(sandbox.url("test.hello"), params={"api_key": KEY})

    filtered = hello()
    assert (filtered.status_code, filtered.headers["Content-Type"]) == (
        403,
        "text/html; charset=utf-8",
    )
    sandbox.change(require_lg=False)
    assert hello().json()["hello"] == "hello world!"


def test_a_private_document_is_hidden_from_those_who_may_not_see_it(sandbox: Caller) -> None:
    assert sandbox.get("doc.get", doc_id="5412")["doc"]["title"] == "A boat"
    assert sandbox.code(sandbox.get("doc.get", token=None, doc_id="5412")) == "1"
    assert sandbox.code(sandbox.get("doc.get", doc_id="7002")) == "1"
    sandbox.change(permissions={"doc": "none"})
    assert sandbox.code(sandbox.get("doc.get", doc_id="5412")) == "1"


def test_calls_are_counted_per_method_also_those_refused(sandbox: Caller) -> None:
    sandbox.get("test.hello")
    sandbox.get("upload.replace")
    sandbox.http.get(sandbox.url("no.such"))
    sandbox.get("test.hello")
    assert sandbox.control("calls") == {"test.hello": 2, "upload.replace": 1, "no.such": 1}
