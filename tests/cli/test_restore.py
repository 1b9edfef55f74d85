"""``restore``: the previous originals of a report or of one backup."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ipernity_provider.operators.ipernity import ReplaceFilesOperator
from tests.cli.commandline import Command
from tests.cli.test_replace import replaced
from tests.conftest import Connect, Service, draw
from tests.operators.test_operator import context

PHOTOS = ("5412", "5413", "5414")


def shown(service: Service) -> dict[str, tuple[str | None, str | None]]:
    with service.client() as client:
        documents = map(client.get_document, PHOTOS)
        return {one.doc_id: (one.md5, one.filename) for one in documents}


@pytest.fixture
def originals(service: Service) -> dict[str, tuple[str | None, str | None]]:
    return shown(service)


@pytest.fixture
def report(
    service: Service,
    originals: dict[str, tuple[str | None, str | None]],
    command: Command,
    tmp_path: Path,
) -> Path:
    """The report of a batch that has replaced three photos by files of the same names."""
    rows = []
    for doc_id in PHOTOS:
        name = str(originals[doc_id][1])
        rows.append({"doc_id": doc_id, "file": str(draw(tmp_path / name, f"#0{doc_id}0"))})
    operator = ReplaceFilesOperator(
        task_id="replace",
        manifest=rows,
        backup_to=str(tmp_path / "backups"),
        report_to=str(tmp_path / "report.jsonl"),
        poll_interval=0.2,
    )
    assert operator.execute(context())["replaced"] == len(PHOTOS)
    return tmp_path / "report.jsonl"


def rows_of(report: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in report.read_text().splitlines()]


def test_all_documents_of_a_report_get_their_originals_back(
    service: Service,
    command: Command,
    originals: dict[str, tuple[str | None, str | None]],
    report: Path,
) -> None:
    assert command("restore", str(report), "--dry-run") == 0
    unknown, count, *_ = command.err.splitlines()
    assert unknown.startswith("It is not known whether other documents have taken the place of")
    assert count == "3 to restore, 0 unchanged."
    assert len(replaced(service)) == 3
    assert command("restore", str(report), "--yes") == 0
    assert shown(service) == originals
    assert command.out.splitlines() == [
        f"Document {doc_id} carries {originals[doc_id][1]} (proof: md5)." for doc_id in PHOTOS
    ]
    assert command("restore", str(report)) == 0
    assert command.err.splitlines()[1:] == ["0 to restore, 3 unchanged."]
    assert len(replaced(service)) == 6


def test_one_backup_names_its_document(
    service: Service,
    command: Command,
    originals: dict[str, tuple[str | None, str | None]],
    report: Path,
) -> None:
    (backup,) = (report.parent / "backups").glob("5413-*")
    assert command("restore", str(backup), "--yes", "--backup-to", str(report.parent / "b")) == 0
    assert shown(service)["5413"] == originals["5413"]
    assert shown(service)["5412"] != originals["5412"]
    assert [file.name[:5] for file in (report.parent / "b").iterdir()] == ["5413-"]


def test_a_document_that_was_replaced_again_is_left_alone(
    service: Service, command: Command, report: Path, other_picture: Path
) -> None:
    with service.client() as client:
        client.upload_replace("5413", other_picture, asynchronous=False)
    before = shown(service)
    assert command("restore", str(report), "--yes") == 1
    assert "Document 5413 was replaced again since the report was written." in command.err
    assert "1 of 3 cannot be restored. Nothing was sent." in command.err
    assert shown(service) == before


def test_a_backup_that_was_changed_is_not_sent(
    service: Service, command: Command, report: Path
) -> None:
    (backup,) = (report.parent / "backups").glob("5413-*")
    draw(backup, "#999999")
    before = shown(service)
    for source in (report, backup):
        assert command("restore", str(source), "--yes") == 1
        assert "is not the file that was stored" in command.err
    assert shown(service) == before


def test_the_first_failure_ends_it_and_the_same_command_continues(
    service: Service,
    command: Command,
    originals: dict[str, tuple[str | None, str | None]],
    report: Path,
) -> None:
    service.fail("code:7", "upload.replace")
    assert command("restore", str(report), "--yes") == 1
    assert "0 of 3 documents were restored; the same command continues." in command.err
    service.set(invalid_next=1)
    assert command("restore", str(report), "--yes") == 1
    assert "could not use it" in command.err
    assert command("restore", str(report), "--yes") == 0
    assert shown(service) == originals


def test_a_service_that_makes_new_documents_makes_one(
    service: Service, command: Command, report: Path
) -> None:
    service.set(replace_mode="new_document")
    assert command("restore", str(report), "--yes") == 1
    assert "The service created document" in command.err
    assert len(replaced(service)) == 4


def test_nothing_is_sent_where_not_all_of_it_fits(
    service: Service, command: Command, report: Path
) -> None:
    service.set(quota_left_bytes=1000)
    assert command("restore", str(report), "--yes") == 1
    assert "but only 1000 of this month's upload volume are left" in command.err
    assert len(replaced(service)) == 3


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("boat.jpg", "x", "is neither a report (.jsonl) nor a backup"),
        ("report.jsonl", "nothing", "is not a report of ReplaceFilesOperator"),
        ("report.jsonl", "[1]", "is not a report of ReplaceFilesOperator"),
        ("report.jsonl", '{"backup": "/a.jpg"}', "is not a report of ReplaceFilesOperator"),
        ("report.jsonl", '{"doc_id": "5412", "backup": null}', "lists no backup"),
        ("report.jsonl", "", "lists no backup"),
        ("report.jsonl", None, "does not exist"),
    ],
)
def test_what_is_no_source_is_one_line(
    command: Command,
    connect: Connect,
    tmp_path: Path,
    name: str,
    content: str | None,
    sentence: str,
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    assert command("restore", str(tmp_path / name), "--yes") == 1
    assert (command.out, command.err.count("\n")) == ("", 1)
    assert sentence in command.err
