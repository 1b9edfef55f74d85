"""Each refusal before sending: its own sentence, and nothing sent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import DocumentNotFound, IpernityError
from ipernity_provider.hooks.files import as_path
from ipernity_provider.replacement.errors import Refused
from ipernity_provider.replacement.record import MemoryJournal
from ipernity_provider.replacement.request import ReplaceOptions, ReplaceRequest
from tests.conftest import BOAT, Service
from tests.replacement.support import run


def refusal(
    service: Service,
    client: IpernityClient,
    file: Any,
    error: type[IpernityError] = Refused,
    **options: Any,
) -> str:
    journal = MemoryJournal()
    with pytest.raises(error) as caught:
        run(client, file, journal, **options)
    assert (service.ledger(), journal.read()) == ([], None)
    assert "upload.replace" not in service.calls()
    return str(caught.value)


# -- requests --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "doc_id",
    ["", "abc", "https://www.ipernity.com/doc/1234/album/5412", "²", "٥٤١٢", "5412.5", "-5412"],
)
def test_a_document_is_named_by_its_number(picture: Path, doc_id: str) -> None:
    with pytest.raises(Refused, match=r"^doc_id is .*\. Nothing was sent\.$"):
        ReplaceRequest(doc_id=doc_id, file=picture)


@pytest.mark.parametrize("option", ["if_unchanged", "proof", "on_new_document", "on_uncertain"])
def test_a_choice_that_does_not_exist_is_refused_with_those_that_do(option: str) -> None:
    with pytest.raises(
        Refused, match=f"^{option} is 'perhaps'; it must be one of '.*', '.*'. Nothing was sent"
    ):
        ReplaceOptions(**{option: "perhaps"})  # type: ignore[arg-type]


@pytest.mark.parametrize("option", [{"poll_interval": 0}, {"timeout": -1}, {"resend_grace": -0.1}])
def test_a_duration_that_cannot_be_is_refused(option: dict[str, float]) -> None:
    with pytest.raises(Refused, match=r"poll_interval must be above 0"):
        ReplaceOptions(**option)  # type: ignore[arg-type]


# -- files -----------------------------------------------------------------------------------------


def test_a_missing_file(service: Service, client: IpernityClient, tmp_path: Path) -> None:
    file = tmp_path / "missing.jpg"
    assert refusal(service, client, file) == f"{file} does not exist. Nothing was sent."
    assert service.calls() == {}


def test_a_file_outside_the_roots(service: Service, client: IpernityClient, picture: Path) -> None:
    assert refusal(service, client, picture, upload_roots=["/data", "s3://media"]) == (
        f"{picture} lies outside the folders that uploads may come from (/data, s3://media). "
        "Nothing was sent."
    )
    assert service.calls() == {}


def test_a_file_below_a_root_is_sent(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    roots = ["/nowhere", f"file://{picture.parent}"]
    assert run(client, picture, upload_roots=roots).outcome == "replaced"
    assert len(service.ledger()) == 1


@pytest.mark.parametrize(
    "file", ["/etc/passwd", "file:///etc/passwd", "file:///data/../etc/passwd"]
)
def test_system_files_are_outside(service: Service, client: IpernityClient, file: str) -> None:
    assert "/etc/passwd lies outside" in refusal(
        service, client, as_path(file), upload_roots=["/data"]
    )


def test_a_linked_file_keeps_the_name_of_its_link(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    link = picture.with_name("current.jpg")
    link.symlink_to(picture)
    run(client, link)
    assert service.ledger()[0]["filename"] == "current.jpg"


def test_a_name_that_is_not_utf8_needs_another_one(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    file = picture.rename(os.fsdecode(bytes(picture.parent) + b"/b\xf6at.jpg"))
    assert refusal(service, client, file) == (
        f"{picture.parent}/b\\udcf6at.jpg cannot be sent under the name b\\udcf6at.jpg, which is "
        "not UTF-8; give another one with filename. Nothing was sent."
    )
    assert service.calls() == {}
    assert run(client, file, filename="böat.jpg").outcome == "replaced"
    assert service.ledger()[0]["filename"] == "böat.jpg"


# -- documents -------------------------------------------------------------------------------------


@pytest.mark.parametrize("doc_id", ["99999999", "7002"], ids=["unknown", "private"])
def test_a_document_that_is_unknown_or_hidden(
    service: Service, client: IpernityClient, picture: Path, doc_id: str
) -> None:
    assert refusal(service, client, picture, DocumentNotFound, doc_id=doc_id) == (
        f"doc.get for document {doc_id}: Document not found (code 1). Check the id, and that the "
        "token belongs to the document's owner."
    )


def test_a_document_that_is_hidden_from_a_token_without_permission_is_not_blamed(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(permissions={"doc": "none"})
    assert "allows doc: none" in refusal(service, client, picture, doc_id="7002")


def test_somebody_elses_document(service: Service, client: IpernityClient, picture: Path) -> None:
    assert refusal(service, client, picture, doc_id="7001") == (
        "Document 7001 belongs to user 5678, the token to Superman (1234): you can replace your "
        "own documents only. Nothing was sent."
    )


def test_another_media_class(service: Service, client: IpernityClient, tmp_path: Path) -> None:
    file = tmp_path / "boat.mp4"
    file.write_bytes(b"film")
    assert refusal(service, client, file) == (
        "boat.mp4 is of class video, document 5412 of class photo: a file can only be replaced by "
        "one of its own class. Nothing was sent."
    )


# -- the account -----------------------------------------------------------------------------------


def test_a_file_over_the_limit(service: Service, client: IpernityClient, picture: Path) -> None:
    service.set(max_file_bytes=100)
    assert refusal(service, client, picture) == (
        f"boat-new.jpg has {picture.stat().st_size} bytes, the account allows 100 for a photo. "
        "Nothing was sent."
    )


def test_a_monthly_volume_that_is_used_up(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(quota_left_bytes=100)
    assert refusal(service, client, picture) == (
        f"boat-new.jpg has {picture.stat().st_size} bytes, but only 100 of this month's upload "
        "volume are left. Nothing was sent."
    )


def test_an_unlimited_account_is_not_kept_from_going_over_its_ceiling(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(unlimited=True, quota_left_bytes=100)
    assert run(client, picture).outcome == "replaced"
    assert len(service.ledger()) == 1


@pytest.mark.parametrize(
    "account", [{"quota_left_bytes": 10}, {"is_pro": False}, {"max_file_bytes": 10}]
)
def test_an_unchanged_file_needs_neither_volume_nor_rights(
    service: Service, client: IpernityClient, picture: Path, account: dict[str, Any]
) -> None:
    run(client, picture)
    service.set(**account)
    assert run(client, picture).outcome == "unchanged"
    assert len(service.ledger()) == 1


@pytest.mark.parametrize("level", ["read", "none"])
def test_a_token_without_the_permission_to_write(
    service: Service, client: IpernityClient, picture: Path, level: str
) -> None:
    service.set(permissions={"doc": level})
    assert refusal(service, client, picture) == (
        f"The token of Superman allows doc: {level}; replacing needs doc: write. Nothing was sent. "
        "Authorize again with that permission."
    )


def test_an_account_that_is_not_pro(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(is_pro=False)
    assert refusal(service, client, picture) == (
        "The account is not PRO (ipernity Club); the service documents that only those replace "
        "files. Nothing was sent. If yours may: set check_account to false in the connection's "
        "extra."
    )


def test_the_question_about_the_account_can_be_left_to_the_service(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(is_pro=False)
    with pytest.raises(IpernityError, match=r"PRO account feature \(code 6\)"):
        run(client, picture, check_account=False)
    assert "account.getQuota" not in service.calls()
    assert service.ledger() == []


def test_a_dry_run_is_refused_as_the_upload_would_be(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(quota_left_bytes=100)
    assert "only 100 of this month's" in refusal(service, client, picture, dry_run=True)
    assert BOAT in refusal(
        service, client, picture.rename(picture.with_suffix(".mp3")), dry_run=True
    )
