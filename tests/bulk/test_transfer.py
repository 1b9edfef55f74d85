"""A manifest whose documents are succeeded by new ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.details import get_details
from ipernity_provider.bulk.journal import BulkJournal
from ipernity_provider.bulk.manifest import ManifestLine
from ipernity_provider.bulk.report import summarize_rows, write_report
from ipernity_provider.bulk.rows import Row
from ipernity_provider.bulk.runner import BulkReplacement
from ipernity_provider.replacement.memory import FileMemory
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
