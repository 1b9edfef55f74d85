from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from requests_oauthlib import OAuth1

from tests.sandbox.caller import (
    KEY,
    OAUTH_TOKEN,
    OAUTH_TOKEN_SECRET,
    SECRET,
    TOKEN,
    Caller,
    jpeg,
    signed,
)


def latest(sandbox: Caller) -> Any:
    return sandbox.control("requests")[-1]


def test_a_call_is_shown_with_its_parameters_and_its_answer(sandbox: Caller) -> None:
    sandbox.post("doc.set", doc_id="5412", title="Übers Meer")
    record = latest(sandbox)
    assert isinstance(record.pop("at"), float)
    assert record == {
        "method": "doc.set",
        "verb": "POST",
        "format": "json",
        "params": {
            "doc_id": "5412",
            "title": "Übers Meer",
            "lg": "en",
            "api_key": "<api_key>",
            "auth_token": "<auth_token>",
            "api_sig": "<api_sig>",
        },
        "file": None,
        "fault": None,
        "http": 200,
        "status": "ok",
        "code": None,
        "message": None,
        "signed": None,
    }


def test_a_refusal_and_a_file_are_shown(sandbox: Caller) -> None:
    content = jpeg()
    sandbox.send("upload.replace", content, "boat.jpg", doc_id="1")
    record = latest(sandbox)
    assert record["file"] == {"filename": "boat.jpg", "bytes": len(content)}
    assert (record["status"], record["code"], record["message"]) == (
        "error",
        4,
        "Document not found",
    )


def test_a_wrong_signature_is_shown_with_the_string_that_should_have_been_signed(
    sandbox: Caller,
) -> None:
    fields = {**signed("doc.set", doc_id="5412", title="a b"), "api_sig": "0" * 32}
    sandbox.http.post(sandbox.url("doc.set"), data=fields)
    assert (latest(sandbox)["code"], latest(sandbox)["signed"]) == (
        105,
        "api_key<api_key>auth_token<auth_token>doc_id5412lgentitlea bdoc.set<secret>",
    )


def test_a_wrong_oauth_signature_is_shown_with_its_base_string(sandbox: Caller) -> None:
    auth = OAuth1(KEY, "wrong", OAUTH_TOKEN, OAUTH_TOKEN_SECRET)
    params = {"doc_id": "5412", "lg": "en"}
    reply = requests.get(sandbox.url("doc.get"), params=params, auth=auth).json()
    assert sandbox.code(reply) == "105"
    base_string = latest(sandbox)["signed"]
    assert base_string.startswith("GET&http%3A%2F%2F127.0.0.1%3A")
    assert "%26lg%3Den%26" in base_string
    assert "oauth_token%3D<oauth_token>" in base_string


def test_an_authorization_by_oauth_is_shown(sandbox: Caller) -> None:
    address = f"{sandbox.root}/apps/oauth/request"
    assert requests.get(address, auth=OAuth1(KEY, "wrong")).status_code == 401
    record = latest(sandbox)
    assert (record["method"], record["http"], record["code"]) == ("/apps/oauth/request", 401, 105)
    assert record["signed"].startswith("GET&")
    assert requests.get(address, auth=OAuth1(KEY, SECRET)).status_code == 200
    assert latest(sandbox)["status"] == "ok"


def test_a_fault_and_a_broken_connection_are_shown(sandbox: Caller) -> None:
    sandbox.change(faults=[{"method": "doc.get", "kind": "http:503"}])
    sandbox.http.get(sandbox.url("doc.get"), params=signed("doc.get", doc_id="5412"))
    assert (latest(sandbox)["fault"], latest(sandbox)["http"]) == ("http:503", 503)
    sandbox.change(faults=[{"method": "doc.set", "kind": "drop_after_accepting"}])
    with pytest.raises(requests.ConnectionError):
        sandbox.post("doc.set", doc_id="5412", title="new")
    record = latest(sandbox)
    assert (record["fault"], record["status"], record["http"]) == (
        "drop_after_accepting",
        "ok",
        None,
    )


def test_nothing_secret_is_shown_wherever_it_was_sent(sandbox: Caller) -> None:
    frob = sandbox.get("auth.getFrob", token=None)["auth"]["frob"]
    sandbox.get("auth.getToken", token=None, frob=frob)
    sandbox.get("test.echo", echo=f"{SECRET} and {TOKEN} and {frob}", **{TOKEN: "x"})
    sandbox.http.get(sandbox.url("doc.get"), params={"api_key": SECRET, "lg": "en"})
    fields = {**signed("doc.get", token="77-not-issued-here"), "api_sig": "1234567890abcdef"}
    sandbox.http.get(sandbox.url("doc.get"), params=fields)
    for auth in (
        OAuth1(KEY, SECRET, OAUTH_TOKEN, OAUTH_TOKEN_SECRET),
        OAuth1(KEY, "bad", OAUTH_TOKEN, "bad"),
    ):
        for where in ("auth_header", "query", "body"):
            auth.client.signature_type = where.upper()
            requests.post(sandbox.url("test.echo"), data={"lg": "en"}, auth=auth)
    text = json.dumps(sandbox.control("requests"))
    hidden = (KEY, SECRET, TOKEN, OAUTH_TOKEN, OAUTH_TOKEN_SECRET, frob)
    for secret in (*hidden, "77-not-issued-here", "1234567890abcdef", "oauth_signature="):
        assert secret not in text


def test_the_log_is_bounded_and_a_reset_empties_it(sandbox: Caller) -> None:
    sandbox.post("test.echo", echo="x" * 100_000)
    assert latest(sandbox)["params"]["echo"].startswith("x" * 2000 + "… (")
    assert len(json.dumps(latest(sandbox))) < 5000
    sandbox.reset()
    assert sandbox.control("requests") == []
