"""Each refusal of the plan: its own sentence, and nothing sent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import DocumentNotFound, IpernityError
from ipernity_provider.hooks.files import as_path
from ipernity_provider.replacement import MemoryJournal
from ipernity_provider.replacement.order import Refused
from tests.conftest import BOAT, Service
from tests.replacement.test_life import run


def refusal(
    service: Service, client: IpernityClient, file: Any, error: type[IpernityError] = Refused, **options: Any
) -> str:
    with pytest.raises(error) as caught:
        run(client, file, **options)
    assert service.ledger() == []
    assert "upload.replace" not in service.calls()
    return str(caught.value)


def test_a_missing_file(service: Service, client: IpernityClient, tmp_path: Path) -> None:
    file = tmp_path / "missing.jpg"
    assert refusal(service, client, file) == f"{file} does not exist. Nothing was sent."


def test_an_empty_file(service: Service, client: IpernityClient, tmp_path: Path) -> None:
    file = tmp_path / "empty.jpg"
    file.touch()
    assert refusal(service, client, file) == f"{file} is empty. Nothing was sent."


def test_a_folder(service: Service, client: IpernityClient, tmp_path: Path) -> None:
    assert (
        refusal(service, client, tmp_path)
        == f"{tmp_path} is a folder; a replacement needs one file. Nothing was sent."
    )


@pytest.mark.timeout(30)
@pytest.mark.parametrize("roots", [(), (("/",),)])
def test_what_is_not_a_regular_file(
    service: Service, client: IpernityClient, tmp_path: Path, roots: tuple[tuple[str, ...], ...]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link.jpg").symlink_to("pipe")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    for name, what in [("link.jpg", "a named pipe (FIFO)"), ("zero.jpg", "a device")]:
        sentence = refusal(service, client, tmp_path / name, upload_roots=roots)
        assert sentence == f"{tmp_path / name} is {what}; only a regular file can be read. Nothing was sent."


@pytest.mark.parametrize("roots", [(), (("/",),)])
def test_links_in_a_circle_and_names_that_are_too_long(
    service: Service, client: IpernityClient, tmp_path: Path, roots: tuple[tuple[str, ...], ...]
) -> None:
    (tmp_path / "circle.jpg").symlink_to("circle.jpg")
    assert refusal(service, client, tmp_path / "circle.jpg", upload_roots=roots) == (
        f"{tmp_path}/circle.jpg is a link that leads in a circle. Nothing was sent."
    )
    assert "has too long a name: 255 bytes" in refusal(
        service, client, tmp_path / f"{'x' * 256}.jpg", upload_roots=roots
    )


def test_a_root_that_leads_in_a_circle_holds_nothing(
    service: Service, client: IpernityClient, tmp_path: Path, picture: Path
) -> None:
    (tmp_path / "circle").symlink_to("circle")
    roots = [str(tmp_path / "circle"), str(tmp_path / ("x" * 256))]
    assert "lies outside the folders" in refusal(service, client, picture, upload_roots=(roots,))


def test_a_path_through_a_file(service: Service, client: IpernityClient, picture: Path) -> None:
    file = picture / "boat.jpg"
    assert refusal(service, client, file) == f"{file} cannot be read: Not a directory. Nothing was sent."


@pytest.mark.parametrize("doc_id", ["99999999", "7002"], ids=["unknown", "private"])
def test_a_document_that_is_unknown_or_hidden(
    service: Service, client: IpernityClient, picture: Path, doc_id: str
) -> None:
    assert refusal(service, client, picture, DocumentNotFound, doc_id=doc_id) == (
        f"doc.get for document {doc_id}: Document not found (code 1). Check the id, and that the token belongs to the "
        "document's owner."
    )


def test_somebody_elses_document(service: Service, client: IpernityClient, picture: Path) -> None:
    assert refusal(service, client, picture, doc_id="7001") == (
        "Document 7001 belongs to user 5678, the token to Superman (1234): only one's own documents can be replaced. "
        "Nothing was sent."
    )


def test_another_media_class(service: Service, client: IpernityClient, tmp_path: Path) -> None:
    file = tmp_path / "boat.mp4"
    file.write_bytes(b"film")
    assert refusal(service, client, file) == (
        "boat.mp4 is of class video, document 5412 of class photo: a file can only be replaced by one of its own class. "
        "Nothing was sent."
    )


def test_a_file_over_the_limit(service: Service, client: IpernityClient, picture: Path) -> None:
    service.set(max_file_bytes=100)
    assert refusal(service, client, picture) == (
        f"boat-new.jpg has {picture.stat().st_size} bytes, the account allows 100 for a photo. Nothing was sent."
    )


def test_a_monthly_volume_that_is_used_up(service: Service, client: IpernityClient, picture: Path) -> None:
    service.set(quota_left_bytes=100)
    assert refusal(service, client, picture) == (
        f"boat-new.jpg has {picture.stat().st_size} bytes, but only 100 are left of this month's upload volume. "
        "Nothing was sent."
    )


def test_an_unlimited_account_is_not_kept_from_going_over_its_ceiling(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(unlimited=True, quota_left_bytes=100)
    assert run(client, picture).outcome == "replaced"
    assert len(service.ledger()) == 1


@pytest.mark.parametrize("level", ["read", "none"])
def test_a_token_without_the_right_to_write(
    service: Service, client: IpernityClient, picture: Path, level: str
) -> None:
    service.set(permissions={"doc": level})
    assert refusal(service, client, picture) == (
        f"The token of Superman allows doc: {level}, replacing needs doc: write. Authorize again with that right. "
        "Nothing was sent."
    )


def test_an_account_that_is_not_pro(service: Service, client: IpernityClient, picture: Path) -> None:
    service.set(is_pro=False)
    assert refusal(service, client, picture) == (
        "The account is not PRO (ipernity Club), and the service lets only those replace files. check_account=False leaves "
        "the decision to the service. Nothing was sent."
    )


def test_the_question_about_the_account_can_be_left_to_the_service(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(is_pro=False)
    with pytest.raises(IpernityError, match=r"PRO account feature \(code 6\)"):
        run(client, picture, check_account=False)
    assert "account.getQuota" not in service.calls()
    assert service.ledger() == []


# -- names -----------------------------------------------------------------------------------------------------------


def test_a_name_that_is_not_utf8_needs_another_one(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    file = picture.rename(os.fsdecode(bytes(picture.parent) + b"/b\xf6at.jpg"))
    journal = MemoryJournal()
    with pytest.raises(Refused) as caught:
        run(client, file, journal)
    assert str(caught.value) == (
        f"{picture.parent}/b\\udcf6at.jpg cannot be told to the service as b\\udcf6at.jpg, which is not UTF-8: give another "
        "name with filename. Nothing was sent."
    )
    assert (service.ledger(), journal.read(), service.calls()) == ([], None, {})
    assert run(client, file, journal, filename="böat.jpg").outcome == "replaced"
    assert service.ledger()[0]["filename"] == "böat.jpg"


# -- upload roots ----------------------------------------------------------------------------------------------------


def outside(path: object, *roots: object) -> str:
    return f"{path} lies outside the folders that uploads may come from ({', '.join(map(str, roots))}). Nothing was sent."


def test_a_file_below_a_root_is_sent(service: Service, client: IpernityClient, picture: Path) -> None:
    roots = [("/nowhere", str(picture.parent)), (str(picture.parent.parent),)]
    assert run(client, picture, upload_roots=roots).outcome == "replaced"


def test_a_file_must_lie_below_each_set_of_roots(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    roots = [(str(picture.parent),), ("/nowhere",)]
    assert refusal(service, client, picture, upload_roots=roots) == outside(picture, "/nowhere")


def test_dots_do_not_lead_out(service: Service, client: IpernityClient, picture: Path) -> None:
    root = picture.parent / "allowed"
    root.mkdir()
    file = root / ".." / picture.name
    assert refusal(service, client, file, upload_roots=[(str(root),)]) == outside(picture, root)


def test_a_link_does_not_lead_out(service: Service, client: IpernityClient, picture: Path) -> None:
    root = picture.parent / "allowed"
    root.mkdir()
    (root / "boat.jpg").symlink_to(picture)
    assert refusal(service, client, root / "boat.jpg", upload_roots=[(str(root),)]) == outside(picture, root)


def test_a_neighbour_with_a_longer_name_is_outside(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    root = str(picture)[:-4]
    assert refusal(service, client, picture, upload_roots=[(root,)]) == outside(picture, root)


@pytest.mark.parametrize("form", ["file://{}", "file://localhost{}", "FILE:{}", "local://{}/", "{}/"])
def test_a_root_is_read_as_a_file_is(
    service: Service, client: IpernityClient, picture: Path, form: str
) -> None:
    folder = picture.parent / "my pics"
    folder.mkdir()
    file = picture.rename(folder / "boat.jpg")
    root = form.format(folder if form.startswith("{") else str(folder).replace(" ", "%20"))
    assert run(client, file, upload_roots=[(root,)]).outcome == "replaced"


@pytest.mark.parametrize(
    "root", ["file://elsewhere/", "file://", "~nobody-of-this-name", "file:///%00", "s3://media", "/%74mp"]
)
def test_a_root_that_names_no_folder_holds_nothing(
    service: Service, client: IpernityClient, picture: Path, root: str
) -> None:
    assert refusal(service, client, picture, upload_roots=[(root,)]) == outside(picture, root)


@pytest.mark.parametrize("file", ["/etc/passwd", "file:///etc/passwd", "file:///data/../etc/passwd"])
def test_system_files_are_outside(service: Service, client: IpernityClient, file: str) -> None:
    assert refusal(service, client, as_path(file), upload_roots=[("/data",)]) == outside(
        "/etc/passwd", "/data"
    )


@pytest.mark.parametrize(
    "uri",
    [
        "s3://other/boat.jpg",
        "s3://media-private/boat.jpg",
        "s3://media/2025/boat.jpg",
        "s3://media/2026/../2025/boat.jpg",
        "s3a://media/2026/boat.jpg",
        "/media/2026/boat.jpg",
    ],
)
def test_another_bucket_or_folder_is_outside(service: Service, client: IpernityClient, uri: str) -> None:
    sentence = refusal(service, client, as_path(uri), upload_roots=[("s3://media/2026/",)])
    assert "lies outside the folders that uploads may come from (s3://media/2026/)" in sentence


# -- backup ----------------------------------------------------------------------------------------------------------


def test_the_previous_original_is_kept_checked_and_can_be_restored(
    service: Service, client: IpernityClient, picture: Path, tmp_path: Path
) -> None:
    before = client.get_document(BOAT)
    result = run(client, picture, backup_to=tmp_path / "backups" / "2026")
    assert result.backup is not None
    backup = Path(result.backup)
    assert backup.name.startswith(f"5412-{before.md5}-2")
    assert backup.suffix == ".jpg"
    assert list(backup.parent.iterdir()) == [backup]
    assert run(client, backup).md5 == before.md5
    assert client.get_document(BOAT).md5 == before.md5


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a-file", "cannot be written: something that is not a folder stands in its place"),
        ("pipe", "cannot be written: something that is not a folder stands in its place"),
        ("circle", "cannot be written: something that is not a folder stands in its place"),
        ("a-file/below", "cannot be written: Not a directory"),
        ("circle/below", "is a link that leads in a circle"),
        ("x" * 256, "has too long a name: 255 bytes"),
    ],
)
def test_without_its_backup_nothing_is_sent(
    service: Service, client: IpernityClient, picture: Path, tmp_path: Path, name: str, words: str
) -> None:
    (tmp_path / "a-file").touch()
    (tmp_path / "circle").symlink_to("circle")
    os.mkfifo(tmp_path / "pipe")
    folder = tmp_path / name
    sentence = refusal(service, client, picture, backup_to=folder)
    assert sentence.startswith(f"No backup of document 5412, so nothing was sent: {folder} {words}")
    assert sentence.endswith("require_backup=False sends without one.")


def test_a_backup_that_is_not_the_original_is_refused_and_removed(
    service: Service, client: IpernityClient, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "download", lambda _url: iter([b"not the original"]))
    sentence = refusal(service, client, picture, backup_to=tmp_path / "backups")
    assert "what was fetched has md5" in sentence
    assert list((tmp_path / "backups").iterdir()) == []


def test_a_missing_backup_can_be_tolerated(
    service: Service, client: IpernityClient, picture: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "a-file"
    folder.touch()
    result = run(client, picture, backup_to=folder, require_backup=False)
    assert (result.outcome, result.backup) == ("replaced", None)
    assert "Sending without one" in caplog.text
