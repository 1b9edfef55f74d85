"""The journal of many uploads in Airflow's task state store: small writes, and nothing is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ipernity_provider.bulk.journal import JournalLost, RowJournal
from ipernity_provider.bulk.rows import Row
from ipernity_provider.replacement.errors import UploadAborted
from ipernity_provider.state import TaskStateBulkJournal


class Store(dict[str, Any]):
    """A task state store that may die after so many writes.

    :ivar written: the sizes of what was written, in bytes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.written: list[int] = []
        self.writes_left: int | None = None

    def set(self, key: str, value: Any, retention: Any) -> None:
        if self.writes_left is not None:
            if self.writes_left == 0:
                raise ConnectionError("the process has died")
            self.writes_left -= 1
        self.written.append(len(json.dumps(value)))
        self[key] = json.loads(json.dumps(value))

    def delete(self, key: str) -> None:
        self.pop(key, None)


def rows(first: int, count: int, **parts: Any) -> list[Row]:
    return [
        Row(
            doc_id=str(first + n),
            file=f"/data/pictures/{n}.jpg",
            where=f"line {n + 2}",
            md5="0" * 32,
            **parts,
        )
        for n in range(count)
    ]


def loaded(store: Store) -> dict[str, Row]:
    journal = TaskStateBulkJournal(store)
    journal.load()
    return journal.rows


@pytest.mark.parametrize("before", [0, 1, 5000])
def test_a_change_costs_one_small_write_however_many_there_are_and_were(before: int) -> None:
    store = Store()
    journal = TaskStateBulkJournal(store)
    journal.load()
    assert journal.rows == {}
    if before:
        journal.begin(rows(1, before))
    wanted = rows(10_000, 5000)
    journal.begin(wanted)
    store.written.clear()
    journal.save(wanted[17].without_upload("no good", "refused"))
    assert len(store.written) == 1
    assert store.written[0] < 64_000
    store.written.clear()
    journal.save(*[row.without_upload("no turn") for row in wanted])
    assert len(store.written) <= 5000 / 32 + 1
    assert {row.status for row in loaded(store).values()} == {"not_sent"}
    assert list(loaded(store)) == [row.doc_id for row in wanted]


def test_what_has_not_changed_is_not_written() -> None:
    store = Store()
    journal = TaskStateBulkJournal(store)
    journal.begin(rows(1, 100))
    store.written.clear()
    journal.save(*rows(1, 100))
    assert store.written == []


def test_a_process_that_was_overtaken_changes_nothing_and_sends_nothing() -> None:
    store = Store()
    old, new = TaskStateBulkJournal(store), TaskStateBulkJournal(store)
    old.begin(rows(1, 40))
    old.require_current()
    new.load()
    new.begin(rows(1, 40))
    old.save(rows(1, 1)[0].without_upload("from the past", "refused"))
    assert {row.status for row in loaded(store).values()} == {"planned"}
    new.require_current()
    with pytest.raises(UploadAborted, match="has taken over"):
        RowJournal(old, "1").read()
    third = TaskStateBulkJournal(store)
    third.load()
    third.begin(rows(1, 40))
    assert {row.status for row in loaded(store).values()} == {"planned"}


def test_a_store_that_was_emptied_stops_the_sending() -> None:
    store = Store()
    journal = TaskStateBulkJournal(store)
    journal.begin(rows(1, 1))
    store.clear()
    with pytest.raises(UploadAborted):
        journal.require_current()


def test_what_the_first_edition_stored_is_read() -> None:
    entry = {
        "doc_id": "5412",
        "filename": "boat.jpg",
        "bytes": 7,
        "md5": "0" * 32,
        "before": {"md5": "1" * 32, "bytes": 6, "replaced_at": 0, "asked_at": 1_700_000_000},
        "owner_id": "1234",
        "url": None,
        "run": "3",
        "attempt": "a",
        "begun_at": 1_700_000_000.0,
        "alive_at": 1_700_000_001.0,
        "twins": [],
        "ticket": "1-2",
    }
    item = {
        "doc_id": "5412",
        "file": "/data/boat.jpg",
        "where": "line 2",
        "run": "3",
        "fate": "planned",
        "entry": entry,
    }
    store = Store()
    store["ipernity_batch"] = {"book": 1, "pages": 1, "items": 2}
    store["ipernity_batch_1_0"] = {
        "5412": item,
        "5413": {
            "doc_id": "5413",
            "file": "/data/tree.jpg",
            "where": "line 3",
            "number": 1,
            "fate": "unchanged",
            "md5": "2",
        },
    }
    sent, other = loaded(store).values()
    assert (sent.status, sent.file, sent.sent_file) == ("sent", "/data/boat.jpg", "/data/boat.jpg")
    assert sent.record
    assert (sent.record.ticket, sent.record.intent, sent.record.before.md5) == (
        "1-2",
        "3",
        "1" * 32,
    )
    assert (other.status, other.record) == ("planned", None)  # asked about again


def test_a_process_that_dies_while_it_takes_up_another_manifest_leaves_the_old_one_whole() -> None:
    old, new = rows(1, 200), rows(150, 100)
    for writes in range(6):
        store = Store()
        journal = TaskStateBulkJournal(store)
        journal.load()
        journal.begin(old)
        again = TaskStateBulkJournal(store)
        again.load()
        store.writes_left = writes
        if writes < 5:  # four pages, and last the key that says which
            with pytest.raises(ConnectionError):
                again.begin(new)
        else:
            again.begin(new)
        assert loaded(store) == {row.doc_id: row for row in (old if writes < 5 else new)}
        store.writes_left = None
        third = TaskStateBulkJournal(store)
        third.load()
        third.begin(rows(500, 10))
        assert list(loaded(store)) == [row.doc_id for row in rows(500, 10)]


def test_state_that_was_deleted_in_part_is_noticed() -> None:
    store = Store()
    journal = TaskStateBulkJournal(store)
    journal.load()
    journal.begin(rows(1, 100))
    store.delete("ipernity_batch_1_2")
    with pytest.raises(JournalLost, match=r"Of the 100 rows .* 68 are left"):
        loaded(store)
