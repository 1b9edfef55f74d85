"""A probe finds out how a sandbox was set, and a sandbox that is set by findings does the same."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from ipernity_provider.probe.findings import Findings
from ipernity_provider.sandbox import running_sandbox
from tests.conftest import SECRETS, Service
from tests.probe.support import SHORT, clean, own_documents, probe

COMBINATIONS = 40
SEEDS = {"5412", "5413", "5414", "5415", "5416", "5417", "5418"}

CHOICES: dict[str, tuple[Any, ...]] = {
    "replace_mode": ("in_place", "in_place", "new_document"),
    "replace_ticket": ("dashed", "plain"),
    "new_document_share": (0, 2, 4),
    "eta_seconds": (None, 360),
    "show_eta": (True, True, False),
    "require_lg": (True, True, False),
    "lg_refusal": ("http:403", "http:451", "code:105", "code:100"),
    "rewrite_bytes": (False, True),
    "numbers_as_numbers": (False, True),
    "number_members": (
        {},
        {},
        {"tickets.left": "number", "tickets.ticket.done": "number", "doc.original.bytes": "text"},
        {"api.at": "text", "quota.upload.left.mb": "number", "doc.thumbs.thumb.w": "number"},
        {"doc.visibility.share": "text", "tickets.count": "number", "api.code": "number"},
    ),
    "md5_member": ("doc", "original", "both", "none"),
    "md5_of": ("stored", "sent"),
    "check_md5": ("stored", "sent", "nothing"),
    "show_replaced_at": (True, False),
    "address_change": ("marker", "path", "none"),
    "reply_content_type": ("text/plain", "application/json", "text/html"),
    "error_http_status": (200, 400, 404),
    "error_at": (True, False),
    "is_pro": (True, True, True, False),
    "unlimited": (True, False),
    "permissions": ({"doc": "write"}, {"doc": "delete"}),
    "sync_reply": ("both", "ticket", "doc_id"),
}


def combination(number: int) -> dict[str, Any]:
    """Return settings: each choice of each setting comes up in some of the combinations."""
    order = random.Random(number)
    settings = {
        name: values[number % len(values)] if order.random() < 0.5 else order.choice(values)
        for name, values in CHOICES.items()
    }
    return {**settings, "processing_seconds": 0.5}


def numbers(settings: dict[str, Any]) -> str:
    """Return what the answers' numbers are; each of the members of CHOICES is in some answer."""
    others = "number" if settings["numbers_as_numbers"] else "text"
    return others if set(settings["number_members"].values()) <= {others} else "mixed"


def expected(settings: dict[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the facts that such a service shows, of the account and of photos."""

    def yes(name: str) -> str:
        return "yes" if settings[name] else "no"

    refusal = settings["lg_refusal"]
    account = {
        "without_lg": refusal if settings["require_lg"] else "answered",
        "numbers": numbers(settings),
        "content_type": settings["reply_content_type"],
        "error_http_status": f"http:{settings['error_http_status']}",
        "error_at": yes("error_at"),
        "is_pro": yes("is_pro"),
        "unlimited": yes("unlimited"),
        "doc_permission": settings["permissions"]["doc"],
        "async_0": settings["sync_reply"],
    }
    eta = "absent" if not settings["show_eta"] else "honest"
    photo = {"upload": "accepted", "file_ticket": "digits"}
    photo["eta"] = "too_high" if eta == "honest" and settings["eta_seconds"] else eta
    if not settings["is_pro"]:
        return account, {**photo, "replace": "refused:6"}
    rewritten, shown = settings["rewrite_bytes"], settings["md5_member"] != "none"
    is_new = settings["replace_mode"] == "new_document"
    shares = {0: "private", 2: "restricted", 4: "public"}
    md5_of = "stored" if rewritten and settings["md5_of"] == "stored" else "sent"
    check = settings["check_md5"]
    return account, {
        **photo,
        "replace": settings["replace_mode"],
        "replace_ticket": "digits" if settings["replace_ticket"] == "plain" else "dashed",
        "stored_bytes": "rewritten" if rewritten else "as_sent",
        "md5_member": settings["md5_member"],
        "md5_of": md5_of if shown else "not_applicable",
        "check_md5": "sent" if check == "stored" and not rewritten else check,
        "new_document_visibility": (
            shares[settings["new_document_share"]] if is_new else "not_applicable"
        ),
        "replaced_at": (
            "not_applicable" if is_new else "shown" if settings["show_replaced_at"] else "not_shown"
        ),
        "thumbnail_address": (
            "not_applicable"
            if is_new
            else {"none": "same"}.get(settings["address_change"], settings["address_change"])
        ),
        "thumbnail_content": "not_applicable" if is_new else "changed",
    }


def test_the_combinations_cover_each_choice() -> None:
    for name, values in CHOICES.items():
        chosen = [combination(number)[name] for number in range(COMBINATIONS)]
        assert all(chosen.count(value) >= 3 for value in values), name
    mixed = [numbers(combination(number)) for number in range(COMBINATIONS)].count("mixed")
    assert mixed >= 10


@pytest.mark.parametrize("number", range(COMBINATIONS))
def test_each_setting_is_found_and_nothing_is_left(
    service: Service, tmp_path: Path, number: int
) -> None:
    settings = combination(number)
    service.set(**settings)
    found = probe(service, tmp_path / "record.json")
    account, photo = expected(settings)
    assert {name: found.facts[name] for name in account} == account
    assert {name: found.media["photo"][name] for name in photo} == photo
    if numbers(settings) == "mixed":
        others = "number" if settings["numbers_as_numbers"] else "text"
        forms = dict.fromkeys(found.number_members, others) | settings["number_members"]
        assert found.number_members == forms
    else:
        assert found.number_members == {}
    left = clean(service, tmp_path / "record.json")
    if settings["permissions"]["doc"] == "delete":
        assert left == []
        assert not (tmp_path / "record.json").exists()
        assert own_documents(service) == SEEDS
    else:
        made = own_documents(service) - SEEDS
        assert {one.doc_id for one in left} == made != set()
        assert {one.reason for one in left} == {"not_allowed"}
        with service.client() as client:
            for doc_id in made:
                reply = client.call("doc.get", doc_id=doc_id)
                assert int(reply["doc"]["visibility"]["share"]) == 0


@pytest.mark.parametrize("rule", ["form_fields", "rfc5849"])
def test_the_rule_of_oauth_for_uploads_is_found(
    service: Service, tmp_path: Path, rule: str
) -> None:
    service.set(oauth_multipart=rule)
    found = probe(service, tmp_path / "record.json", auth="oauth")
    assert found.facts["oauth_multipart"] == rule
    assert found.media["photo"]["replace"] == "in_place"
    assert len(service.ledger()) == 3


def test_each_kind_of_file_is_probed_on_its_own(service: Service, tmp_path: Path) -> None:
    modes = {"photo": "new_document", "audio": "in_place", "video": "new_document"}
    service.set(replace_mode=modes)
    found = probe(service, tmp_path / "record.json", ("photo", "audio", "video", "other"))
    assert {media: facts["replace"] for media, facts in found.media.items()} == {
        **modes,
        "other": "in_place",
    }
    assert found.makes_new_document == {"photo", "video"}


ODD = {
    "replace_mode": {"photo": "new_document", "audio": "in_place", "other": "in_place"},
    "replace_ticket": "plain",
    "new_document_share": 4,
    "eta_seconds": 900,
    "lg_refusal": "code:105",
    "rewrite_bytes": True,
    "numbers_as_numbers": True,
    "number_members": {"tickets.eta": "text", "doc.thumbs.thumb.h": "text", "api.at": "text"},
    "md5_member": "original",
    "md5_of": "sent",
    "check_md5": "stored",
    "show_replaced_at": False,
    "address_change": "path",
    "reply_content_type": "application/json",
    "error_http_status": 404,
    "error_at": False,
    "unlimited": False,
    "permissions": {"doc": "delete"},
    "sync_reply": "doc_id",
    "processing_seconds": 0.5,
}


@pytest.mark.parametrize("settings", [ODD, *map(combination, (3, 11, 17, 29))])
def test_a_sandbox_like_the_findings_gives_the_same_findings(
    service: Service, tmp_path: Path, settings: dict[str, Any]
) -> None:
    service.set(**settings)
    media = ("photo", "audio", "other")
    first = probe(service, tmp_path / "first.json", media)
    file = tmp_path / "findings.json"
    file.write_text(json.dumps(first.as_json()))
    with running_sandbox(like=file) as url:
        second = probe(Service(url), tmp_path / "second.json", media)
    assert second.facts == first.facts
    assert second.media == first.media
    assert second.number_members == first.number_members
    assert second.media["photo"]["upload"] == "accepted"
    with running_sandbox(like=first.as_json(), settings={"is_pro": False}) as url:
        changed = probe(Service(url), tmp_path / "third.json")
    assert changed.media["photo"]["replace"] == "refused:6"


def test_findings_and_record_hold_no_secret_and_findings_no_id_and_no_name(
    service: Service, tmp_path: Path
) -> None:
    service.set(replace_mode="new_document")
    found = probe(service, tmp_path / "record.json", ("photo", "other"))
    record = (tmp_path / "record.json").read_text()
    findings = json.dumps(found.as_json())
    names = ("Superman", "superman", "Kal-El", "1234", "127.0.0.1", "ipernity-probe-", "1000")
    sums = [entry["md5"] for entry in service.ledger()]
    tickets = [entry["ticket"] for entry in service.ledger()]
    assert all(md5 in record for md5 in sums)  # the record must know what it made
    for secret in (*SECRETS, "api_sig"):
        assert secret not in findings + record
    for told in (*names, *sums, *tickets):
        assert told not in findings
    assert Findings.from_json(json.loads(findings)) == found


@pytest.mark.parametrize("method", ["upload.file", "upload.replace", "doc.get", "account.getQuota"])
@pytest.mark.parametrize(
    "kind", ["http:503", "html", "truncated", "code:500", "drop_after_accepting"]
)
def test_what_goes_wrong_is_a_finding_and_no_crash(
    service: Service, tmp_path: Path, method: str, kind: str
) -> None:
    service.set(permissions={"doc": "delete"}, processing_seconds=0)
    service.fail(kind, method, times=2)
    found = probe(service, tmp_path / "record.json", patience=SHORT)
    assert Findings.from_json(found.as_json()) == found
    clean(service, tmp_path / "record.json", SHORT)
    assert own_documents(service) == SEEDS


def test_an_invalid_ticket_is_a_finding(service: Service, tmp_path: Path) -> None:
    service.set(invalid_next=1)
    found = probe(service, tmp_path / "record.json")
    assert found.media["photo"]["upload"] == "invalid"
    assert found.media["photo"]["replace"] == "unknown"
    assert clean(service, tmp_path / "record.json") == []
    assert own_documents(service) == SEEDS
