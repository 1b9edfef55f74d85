"""An account that is known to get new documents: refused before anything is sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ipernity_provider.hooks.connection import ConnectionSettingError
from ipernity_provider.hooks.ipernity import IpernityHook
from ipernity_provider.hooks.parameters import ParameterError
from ipernity_provider.probe.findings import FACTS, MEDIA_FACTS, Findings
from ipernity_provider.replacement.errors import Refused
from tests.conftest import BOAT, CREDENTIALS, Connect, Service


def findings(replacing: str = "new_document", media: str = "photo", **facts: str) -> Any:
    found = dict.fromkeys(MEDIA_FACTS, "unknown") | {"replace": replacing}
    account = dict.fromkeys(FACTS, "unknown") | facts
    return Findings("2026-11-27", account, {media: found}).as_json()


def test_a_file_is_refused_before_it_is_sent(
    service: Service, connect: Connect, picture: Path
) -> None:
    service.set(replace_mode="new_document")
    hook = IpernityHook(connect(findings=findings()))
    with pytest.raises(Refused, match=r"new document for photos.*Nothing was sent"):
        hook.replace_file(BOAT, picture)
    with pytest.raises(Refused, match="new document for photos"):
        hook.replace_file(BOAT, picture, dry_run=True)
    assert service.ledger() == []


def test_who_says_what_to_do_with_a_new_document_may_send(
    service: Service, connect: Connect, picture: Path
) -> None:
    service.set(replace_mode="new_document")
    hook = IpernityHook(connect(findings=findings()))
    result = hook.replace_file(BOAT, picture, on_new_document="keep")
    assert (result["outcome"], result["new_doc_id"]) == ("new_document", "10001")


@pytest.mark.parametrize(
    "found", [findings("in_place"), findings("unknown"), findings(media="audio"), None, ""]
)
def test_other_findings_refuse_nothing(
    service: Service, connect: Connect, picture: Path, found: Any
) -> None:
    hook = IpernityHook(connect(findings=found))
    assert hook.replace_file(BOAT, picture)["outcome"] == "replaced"
    assert len(service.ledger()) == 1


def test_a_caller_cannot_claim_findings(connect: Connect, picture: Path) -> None:
    with pytest.raises(ParameterError, match="no parameter makes_new_document"):
        IpernityHook(connect()).replace_file(BOAT, picture, makes_new_document={"photo"})


def test_uploads_are_signed_by_the_rule_that_was_found(
    service: Service, connect: Connect, picture: Path
) -> None:
    service.set(oauth_multipart="rfc5849")
    found = findings("in_place", oauth_multipart="rfc5849")
    hook = IpernityHook(connect(findings=found, **CREDENTIALS["oauth"]))
    assert hook.replace_file(BOAT, picture)["outcome"] == "replaced"


@pytest.mark.parametrize("found", ["{", "[]", 5, {"format": "other"}, [1], {"version": 9}])
def test_findings_that_cannot_be_read_are_one_sentence(connect: Connect, found: Any) -> None:
    with pytest.raises(ConnectionSettingError, match="findings in the extra must be findings of"):
        _ = IpernityHook(connect(findings=found)).settings


def test_findings_may_be_text(connect: Connect) -> None:
    hook = IpernityHook(connect(findings=json.dumps(findings())))
    assert hook.settings.findings is not None
    assert hook.settings.findings.makes_new_document == {"photo"}
