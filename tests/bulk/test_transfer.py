"""A manifest whose documents are succeeded by new ones."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.details import get_details
from ipernity_provider.bulk.journal import BulkJournal
from ipernity_provider.bulk.manifest import ManifestError, ManifestLine
from ipernity_provider.bulk.report import describe, summarize_rows, write_report
from ipernity_provider.bulk.rows import Row
from ipernity_provider.bulk.runner import BulkReplacement
from ipernity_provider.replacement.memory import FileMemory, Remembered
from ipernity_provider.replacement.request import Intent
from tests.bulk.rig import options
from tests.conftest import Service, draw

pytestmark = pytest.mark.socket
ROWS = 50


def run(
    client: IpernityClient,
    lines: list[ManifestLine],
    memory: FileMemory,
    journal: BulkJournal | None = None,
) -> list[Row]:
    how = options(on_new_document="transfer", check_account=False)
    bulk = BulkReplacement(client, how, journal or BulkJournal(), intent=Intent(), memory=memory)
    bulk.inspect(lines)
    bulk.require_possible()
    assert bulk.run(timeout=60) == {}
    return bulk.rows


def make(service: Service, client: IpernityClient, folder: Path, count: int) -> list[str]:
    """Documents of the account, each with a title, a keyword, a note, and in one album."""
    doc_ids = service.add_documents(
        draw(folder / "old.jpg", f"#{n + 1:02x}2000") for n in range(count)
    )
    for doc_id in doc_ids:
        client.call("doc.set", doc_id=doc_id, title=f"Number {doc_id}")
        client.call("doc.setPerms", doc_id=doc_id, is_public=1, is_family=0, is_friend=0)
        client.call("doc.tags.add", doc_id=doc_id, keywords=f"word{doc_id}")
        client.call("doc.notes.add", doc_id=doc_id, x=1, y=1, w=9, h=9, content=doc_id)
    client.call("album.docs.add", album_id="201", doc_id=doc_ids)
    return doc_ids


def files_for(doc_ids: list[str], folder: Path, shade: str) -> list[ManifestLine]:
    return [
        ManifestLine(
            doc_id, str(draw(folder / f"{shade}{n}.jpg", f"#{n + 1:02x}{shade}")), None, f"row {n}"
        )
        for n, doc_id in enumerate(doc_ids)
    ]


def test_a_manifest_keeps_its_numbers_while_its_documents_are_succeeded(
    service: Service, client: IpernityClient, tmp_path: Path
) -> None:
    memory = FileMemory(tmp_path / "memory")
    doc_ids = make(service, client, tmp_path, ROWS)
    service.set(replace_mode="new_document", processing_seconds=0.05)
    rows = run(client, files_for(doc_ids, tmp_path, "4000"), memory)
    assert [(row.doc_id, row.status) for row in rows] == [(one, "transferred") for one in doc_ids]
    assert all(row.succeeded and row.new_url for row in rows)
    assert summarize_rows(rows, None)["transferred"] == ROWS
    in_album = client.call("album.docs.getList", album_id="201", per_page=100)["album"]["docs"]
    assert int(in_album["total"]) == 2 + 2 * ROWS
    for row in rows:
        old, new = (get_details(client, one) for one in (row.doc_id, str(row.new_doc_id)))
        assert (old.visibility, new.visibility) == ((False,) * 3, (True, False, False))
        assert (new.title, new.albums) == (f"Number {row.doc_id}", ("201",))
        assert [tag.text for tag in new.tags] == [f"word{row.doc_id}"]
        assert [note.content for note in new.notes] == [row.doc_id]

    write_report(tmp_path / "report.jsonl", rows)
    line = json.loads((tmp_path / "report.jsonl").read_text().splitlines()[0])
    assert line["new_url"].endswith(f"/{rows[0].new_doc_id}")
    assert "title" in line["transferred"]
    assert "comments" in line["not_transferred"]
    assert Row.from_json(json.loads(json.dumps(rows[0].to_json()))) == rows[0]

    sent_before = len(service.ledger())
    again = run(client, files_for(doc_ids[:3], tmp_path, "8000"), memory)
    sent = [entry["doc_id"] for entry in service.ledger()[sent_before:]]
    assert sorted(sent) == sorted(str(row.new_doc_id) for row in rows[:3])
    assert [row.status for row in again] == ["transferred"] * 3
    third = run(client, files_for(doc_ids[:3], tmp_path, "8000"), memory)
    assert [row.status for row in third] == ["unchanged"] * 3
    assert [row.new_doc_id for row in third] == [row.new_doc_id for row in again]


def plan(
    client: IpernityClient, lines: list[ManifestLine], memory: FileMemory, **given: Any
) -> list[Row]:
    how = options(**{"on_new_document": "transfer", "dry_run": True, **given})
    bulk = BulkReplacement(client, how, BulkJournal(), intent=Intent(), memory=memory)
    bulk.inspect(lines)
    return bulk.rows


def test_a_dry_run_says_of_each_row_what_would_be_transferred(
    service: Service, client: IpernityClient, tmp_path: Path
) -> None:
    doc_ids = make(service, client, tmp_path, 3)
    client.call("doc.set", doc_id=doc_ids[1], description="A description")
    lines = files_for(doc_ids, tmp_path, "4000")
    Path(lines[2].file).write_bytes((tmp_path / "old.jpg").read_bytes())  # carried already
    memory, before = FileMemory(tmp_path / "memory"), service.calls()
    rows = plan(client, lines, memory)
    calls = Counter(service.calls()) - Counter(before)
    assert calls["doc.get"] == 3 + 2  # one more of each row that is planned
    assert calls["doc.getContainers"] == 2
    assert not {"upload.replace", "doc.set", "doc.setPerms"} & calls.keys()
    assert [row.status for row in rows] == ["planned", "planned", "unchanged"]
    got = "it would get: visibility and permissions, title, licence, safety, keywords, 1 note,"
    assert f"{got} 1 album." in rows[0].foreseen
    assert f"Document {doc_ids[0]} would then become private." in rows[0].foreseen
    assert "description" in rows[1].foreseen
    assert "description" not in rows[0].foreseen
    assert rows[2].foreseen == ""

    write_report(tmp_path / "report.jsonl", rows)
    report = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]
    assert [line["foreseen"] for line in report] == [row.foreseen or None for row in rows]
    log = describe(rows).splitlines()
    assert log[0] == "Of 3 replacements: 1 unchanged, 2 planned."
    assert log[1] == f"row 0, document {doc_ids[0]}: {rows[0].foreseen}"
    assert log[2].startswith(f"row 1, document {doc_ids[1]}: Should the service")
    assert log[3:] == ["Set report_to for a report of every document."]
    assert "foreseen" not in rows[0].to_json()  # it is not for the next try

    kept = plan(client, lines, memory, on_new_document="transfer_keep")
    assert f"Document {doc_ids[0]} would stay as it is." in kept[0].foreseen
    assert [row.foreseen for row in plan(client, lines, memory, on_new_document="keep")] == [""] * 3


def follow(memory: FileMemory, *chain: str) -> None:
    for old, new in pairwise(chain):
        memory.write(old, Remembered(successor=new, transferred=True))


LONG = tuple(map(str, range(1, 10)))


@pytest.mark.parametrize(
    ("chains", "named", "pairs"),
    [
        (
            [("5412", "5777")],
            ("5412", "5413", "5777"),
            {"row 2: document 5777 and document 5412, at row 0": "5412 -> 5777"},
        ),
        (
            [("5412", "5777"), ("5413", "5777")],
            ("5412", "5413"),
            {"row 1: document 5413 and document 5412, at row 0": ("5412 -> 5777 and 5413 -> 5777")},
        ),
        (
            [("5412", "5777", "5800")],
            ("5777", "5412", "5800"),
            {
                "row 1: document 5412 and document 5777, at row 0": (
                    "5777 -> 5800 and 5412 -> 5777 -> 5800"
                ),
                "row 2: document 5800 and document 5777, at row 0": "5777 -> 5800",
            },
        ),
        (
            [LONG],
            ("1", "9"),
            {"row 1: document 9 and document 1, at row 0": "1 -> 2 -> 3 -> ... -> 8 -> 9"},
        ),
    ],
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_two_rows_that_lead_to_one_document_are_a_mistake_of_the_manifest(
    service: Service,
    client: IpernityClient,
    tmp_path: Path,
    chains: list[tuple[str, ...]],
    named: tuple[str, ...],
    pairs: dict[str, str],
    dry_run: bool,
) -> None:
    memory = FileMemory(tmp_path / "memory")
    for chain in chains:
        follow(memory, *chain)
    lines = files_for(list(named), tmp_path, "4000")
    before = service.calls()
    with pytest.raises(ManifestError) as caught:
        plan(client, lines, memory, dry_run=dry_run, on_error="continue")
    assert caught.value.errors == [
        f"{both}, are one by now: {ways}; keep one of the two lines" for both, ways in pairs.items()
    ]
    assert str(caught.value).startswith(f"The manifest has {len(pairs)} error")
    assert str(caught.value).endswith("Nothing was sent.")
    assert service.calls() == before  # the service was not even asked


def test_documents_that_have_become_one_count_only_where_successors_do(
    service: Service, client: IpernityClient, tmp_path: Path
) -> None:
    memory = FileMemory(tmp_path / "memory")
    follow(memory, "5412", "5413")
    lines = files_for(["5412", "5413"], tmp_path, "4000")
    rows = plan(client, lines, memory, on_new_document="fail", proof="changed")
    assert [row.status for row in rows] == ["planned", "planned"]
    follow(memory, "5412", "5414")
    rows = plan(client, lines, memory)
    assert [row.status for row in rows] == ["planned", "planned"]


def test_a_memory_that_cannot_be_read_concerns_its_row_alone(
    service: Service, client: IpernityClient, tmp_path: Path
) -> None:
    memory = FileMemory(tmp_path / "memory")
    follow(memory, "5412", "5413", "5412")
    lines = files_for(["5412", "5414"], tmp_path, "4000")
    rows = plan(client, lines, memory, on_error="continue")
    assert [row.status for row in rows] == ["refused", "planned"]
    assert "lead back to document 5412" in rows[0].error


def test_a_retry_is_not_confused_by_what_this_run_has_transferred(
    service: Service, client: IpernityClient, tmp_path: Path
) -> None:
    memory, journal = FileMemory(tmp_path / "memory"), BulkJournal()
    doc_ids = make(service, client, tmp_path, 2)
    service.set(replace_mode="new_document", processing_seconds=0.05)
    lines = files_for(doc_ids, tmp_path, "4000")
    first = run(client, lines, memory, journal)
    sent = len(service.ledger())
    again = run(client, lines, memory, journal)
    assert [row.new_doc_id for row in again] == [row.new_doc_id for row in first]
    assert [row.status for row in again] == ["transferred", "transferred"]
    assert len(service.ledger()) == sent
    # A line more, which names what one of them has become, is a mistake.
    more = [*lines, *files_for([str(first[1].new_doc_id)], tmp_path, "8000")]
    with pytest.raises(ManifestError, match=f"at row 1, are one by now: {doc_ids[1]} -> "):
        run(client, more, memory, journal)
    assert len(service.ledger()) == sent


class Killed(BaseException):
    """The process dies here."""


def test_a_batch_that_dies_within_a_transfer_continues_it(
    service: Service, client: IpernityClient, tmp_path: Path
) -> None:
    class Journal(BulkJournal):
        left = 3

        def save(self, *rows: Row) -> None:
            super().save(*rows)
            if any(row.record and row.record.transfer for row in rows):
                self.left -= 1
                if not self.left:
                    raise Killed

    memory = FileMemory(tmp_path / "memory")
    doc_ids = make(service, client, tmp_path, 2)
    service.set(replace_mode="new_document", processing_seconds=0.05)
    lines, journal, left = files_for(doc_ids, tmp_path, "4000"), Journal(), BulkJournal()
    before = len(service.ledger())
    with pytest.raises(Killed):
        run(client, lines, memory, journal)
    left.begin([Row.from_json(json.loads(json.dumps(r.to_json()))) for r in journal.rows.values()])
    rows = run(client, lines, memory, left)
    assert [row.status for row in rows] == ["transferred", "transferred"]
    assert len(service.ledger()) == before + 2
    for row in rows:
        new = get_details(client, str(row.new_doc_id))
        assert [note.content for note in new.notes] == [row.doc_id]
