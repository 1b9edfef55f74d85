from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from ipernity_provider.sandbox.settings import Settings
from tests.sandbox.caller import Caller, jpeg


def put(sandbox: Caller, body: Any) -> requests.Response:
    return sandbox.http.put(f"{sandbox.root}/_sandbox/settings", json=body)


def test_the_defaults_are_what_the_service_most_likely_does() -> None:
    assert Settings().as_json() == {
        "replace_mode": "in_place",
        "replace_ticket": "dashed",
        "new_document_share": 0,
        "processing_seconds": 1.0,
        "eta_seconds": None,
        "show_eta": True,
        "require_lg": True,
        "lg_refusal": "http:403",
        "rewrite_bytes": False,
        "numbers_as_numbers": False,
        "number_members": {},
        "empty_collections": "missing",
        "md5_member": "doc",
        "md5_of": "stored",
        "check_md5": "stored",
        "show_replaced_at": True,
        "address_change": "marker",
        "reply_content_type": "text/plain",
        "error_http_status": 200,
        "error_at": True,
        "is_pro": True,
        "permissions": {
            "doc": "write",
            "blog": "none",
            "profile": "none",
            "network": "none",
            "post": "none",
        },
        "quota_left_bytes": None,
        "unlimited": None,
        "max_file_bytes": 1024**3,
        "invalid_next": 0,
        "forget_tickets_after_seconds": None,
        "sync_reply": "both",
        "oauth_multipart": "form_fields",
        "oauth_timestamp_order": True,
        "clock_offset_seconds": 0,
        "receive_bytes_per_second": None,
        "callback_url": None,
        "faults": [],
    }


def test_a_change_is_partial_and_shown(sandbox: Caller) -> None:
    changed = sandbox.change(is_pro=False, permissions={"doc": "delete"})
    assert (changed["is_pro"], changed["permissions"]["doc"], changed["permissions"]["blog"]) == (
        False,
        "delete",
        "none",
    )
    assert changed["sync_reply"] == "both"
    assert sandbox.control("settings") == changed


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("replace_mode", "both", '"in_place" or "new_document", or an object'),
        ("processing_seconds", -1, "a number of at least 0"),
        ("processing_seconds", "1", "a number of at least 0"),
        ("processing_seconds", True, "a number of at least 0"),
        ("processing_seconds", 10**400, "a number of at least 0"),
        ("eta_seconds", 1.5, "a whole number, or null"),
        ("require_lg", 1, "true or false"),
        ("rewrite_bytes", None, "true or false"),
        ("numbers_as_numbers", "yes", "true or false"),
        ("number_members", {"tickets.eta": "float"}, '"text" or "number"'),
        ("number_members", {"": "text"}, "paths such as tickets.eta"),
        ("empty_collections", "absent", '"missing", "list"'),
        ("md5_member", None, '"doc", "original", "both", "none"'),
        ("replace_mode", {"photos": "in_place"}, "the members photo, audio, video, other"),
        ("replace_mode", {"photo": "anew"}, "the members photo"),
        ("lg_refusal", "html", "code:<n> or http:<status>"),
        ("error_http_status", 199, "at least 200 and at most 599"),
        ("is_pro", 0, "true or false"),
        ("permissions", {"doc": "all"}, "the levels none, read, write, delete"),
        ("permissions", {"docs": "read"}, "the members doc, blog"),
        ("permissions", "write", "an object"),
        ("quota_left_bytes", 10 * 1024**3 + 1, "at most 10737418240"),
        ("unlimited", "yes", "true or false, or null"),
        ("max_file_bytes", None, "a whole number of at least 0"),
        ("invalid_next", 1.0, "a whole number"),
        ("forget_tickets_after_seconds", [], "or null"),
        ("sync_reply", "neither", '"both", "ticket", "doc_id"'),
        ("oauth_multipart", "rfc", '"form_fields", "rfc5849"'),
        ("oauth_timestamp_order", "no", "true or false"),
        ("clock_offset_seconds", 10**9, "at most 31536000"),
        ("receive_bytes_per_second", 0, "at least 1, or null"),
        ("callback_url", "", "an address such as https://app.example/back, or null"),
        ("callback_url", "https://a.example/\ud800", "an address"),
        ("faults", {}, "a list of faults"),
        ("faults", [{"method": "*"}], "method, kind"),
        ("faults", [{"method": "*", "kind": "bang"}], "code:<n>, http:<status>, html"),
        (
            "faults",
            [{"method": "*", "kind": "html", "times": 0}],
            "times is a whole number of at least 1",
        ),
        (
            "faults",
            [{"method": "", "kind": "html"}],
            'method is "*" or the name of an emulated method',
        ),
        ("faults", [{"method": "upload.replcae", "kind": "html"}], "not 'upload.replcae'"),
        (
            "faults",
            [{"method": "*", "kind": "slow:1", "headers": {"A": "b"}}],
            "the kinds http and html",
        ),
        ("faults", [{"method": "*", "kind": "html", "headers": []}], "headers is an object"),
        (
            "faults",
            [{"method": "*", "kind": "html", "headers": {"A": 1}}],
            "one line of ASCII text",
        ),
        ("faults", [{"method": "*", "kind": "html", "headers": {"A": "b\r\nC: d"}}], "one line"),
        (
            "faults",
            [{"method": "*", "kind": "html", "headers": {"A b": "c"}}],
            "does not contain 'A b'",
        ),
        (
            "faults",
            [{"method": "*", "kind": "html", "headers": {"content-length": "1"}}],
            "content-length",
        ),
        (
            "faults",
            [{"method": "*", "kind": "truncated", "after_accepting": True}],
            "the kinds code, http and html only",
        ),
        (
            "faults",
            [{"method": "*", "kind": "html", "after_accepting": 1}],
            "after_accepting is true or false",
        ),
        ("faults", [{"method": "*", "kind": "html", "when": "now"}], "method, kind"),
    ],
)
def test_a_wrong_value_is_refused_with_a_sentence_that_says_what_is_allowed(
    sandbox: Caller, name: str, value: object, allowed: str
) -> None:
    before = sandbox.control("settings")
    response = put(sandbox, {"sync_reply": "ticket", name: value})
    assert response.status_code == 400
    assert f"'{name}'" in response.text
    assert allowed in response.text
    assert "\n" not in response.text
    assert sandbox.control("settings") == before


def test_an_unknown_setting_is_refused_with_the_names_of_all(sandbox: Caller) -> None:
    response = put(sandbox, {"replace_mod": "in_place"})
    assert response.status_code == 400
    assert "'replace_mod'" in response.text
    assert all(name in response.text for name in Settings().as_json())


@pytest.mark.parametrize("body", ["[]", "7", "{"])
def test_what_is_not_a_json_object_is_refused(sandbox: Caller, body: str) -> None:
    json_type = {"Content-Type": "application/json"}
    address = f"{sandbox.root}/_sandbox/settings"
    assert sandbox.http.put(address, data=body, headers=json_type).status_code == 400


def test_reset_restores_seeds_settings_and_counts(sandbox: Caller) -> None:
    boat = sandbox.doc("5412")
    sandbox.change(invalid_next=0, is_pro=True, sync_reply="doc_id", permissions={"doc": "delete"})
    sandbox.wait(sandbox.replace(jpeg()))
    sandbox.post("doc.delete", doc_id="5413")
    sandbox.reset()
    assert sandbox.control("ledger") == sandbox.control("tickets") == []
    assert sandbox.control("calls") == {}
    assert sandbox.control("settings") == {
        **json.loads(json.dumps(Settings().as_json())),
        "processing_seconds": 0.05,
    }
    assert sandbox.doc("5412") == boat
    assert sandbox.http.get(boat["original"]["url"]).status_code == 200
    assert sandbox.doc("5413")["title"] == "Blue mountains"


def test_a_reset_drops_an_upload_in_progress(sandbox: Caller) -> None:
    boat = sandbox.doc("5412")
    sandbox.change(processing_seconds=0.2)
    sandbox.replace(jpeg())
    sandbox.reset()
    sandbox.wait(sandbox.replace(jpeg("red"), doc_id="5413"))
    sandbox.change(processing_seconds=0.3)
    sandbox.wait(sandbox.replace(jpeg("red"), doc_id="5413"))
    assert sandbox.doc("5412") == boat


def test_numbers_as_numbers_leaves_ids_texts(sandbox: Caller) -> None:
    sandbox.change(numbers_as_numbers=True, eta_seconds=9, processing_seconds=30)
    ticket = sandbox.replace(jpeg())
    reply = sandbox.get("upload.checkTickets", tickets=ticket)
    assert reply["tickets"]["ticket"] == [{"id": ticket, "done": 0, "invalid": 0, "eta": 9}]
    assert isinstance(reply["api"]["at"], int)
    assert sandbox.doc("5412")["doc_id"] == "5412"
    assert sandbox.get("doc.get", doc_id="1")["api"]["code"] == 1


def test_md5_member_moves_the_checksum(sandbox: Caller) -> None:
    def places() -> tuple[bool, bool, bool]:
        doc = sandbox.doc("5412", extra="md5")
        listed = sandbox.get("doc.getList", extra="md5,original")["docs"]["doc"][0]
        assert ("md5" in listed, "md5" in listed["original"]) == (
            "md5" in doc,
            "md5" in doc["original"],
        )
        return "md5" in doc, "md5" in doc["original"], "md5" in sandbox.doc("5412", extra="tags")

    assert places() == (True, False, False)
    sandbox.change(md5_member="original")
    assert places() == (False, True, False)
    sandbox.change(md5_member="none")
    assert places() == (False, False, False)


def test_is_pro_is_in_each_reply_about_the_user(sandbox: Caller) -> None:
    sandbox.change(is_pro=False)
    assert sandbox.get("auth.checkToken")["auth"]["user"]["is_pro"] == "0"
    assert sandbox.get("user.get")["user"]["is_pro"] == "0"
    assert sandbox.get("account.getQuota")["quota"]["is_pro"] == "0"


def test_permissions_are_those_of_the_seeded_tokens(sandbox: Caller) -> None:
    sandbox.change(permissions={"doc": "delete", "network": "read"})
    rights = sandbox.get("auth.checkToken")["auth"]["permissions"]
    assert rights == {
        "doc": "delete",
        "blog": "none",
        "profile": "none",
        "network": "read",
        "post": "none",
    }


def test_max_file_bytes_and_quota_are_reported(sandbox: Caller) -> None:
    sandbox.change(max_file_bytes=2048, quota_left_bytes=1024**2)
    quota = sandbox.get("account.getQuota")["quota"]
    assert quota["maxfilesize"]["video"] == {"bytes": "2048", "kb": "2", "mb": "0"}
    left = quota["upload"]["left"]
    assert [left[name] for name in ("bytes", "kb", "mb", "percent")] == [
        "1048576",
        "1024",
        "1",
        "0",
    ]
