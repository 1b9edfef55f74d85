"""What a task remembers of its upload in Airflow's task state store, and for whom it runs."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk import Context

from ipernity_provider.replacement.record import DocumentSnapshot, MemoryJournal, UploadRecord
from ipernity_provider.replacement.request import Intent
from ipernity_provider.state import TaskStateJournal, intent_of, journal_of

RECORD = UploadRecord(
    doc_id="5412",
    filename="boat.jpg",
    bytes=200,
    md5="1" * 32,
    marker="m",
    before=DocumentSnapshot("0" * 32, 100, 50, 60, True),
    owner_id="1234",
    title="A boat",
    old_filename="old.jpg",
    url="https://www.ipernity.com/doc/1234/5412",
    intent="2",
    attempt="a",
    started_at=1.5,
    heartbeat_at=2.5,
    complete=True,
    backup="/backups/5412.jpg",
    ticket="712001-98001",
)


class Store(dict[str, Any]):
    """A task state store, which keeps what JSON keeps."""

    def set(self, key: str, value: Any, *, retention: Any) -> None:
        self[key] = json.loads(json.dumps(value))

    def delete(self, key: str) -> None:
        self.pop(key, None)


def context(**parts: Any) -> Context:
    return cast(
        "Context", {"ti": SimpleNamespace(max_tries=2, try_number=1, map_index=-1), **parts}
    )


@pytest.mark.parametrize(
    "record",
    [
        RECORD,
        replace(RECORD, md5=None, complete=False, ticket=None),
        replace(
            RECORD,
            result_id="5412",
            proven=DocumentSnapshot("1" * 32, 200, 70, 80),
            proof="md5",
        ),
        replace(RECORD, rejected=True, result_id="10001"),
    ],
)
def test_a_record_survives_the_store(record: UploadRecord) -> None:
    store = Store()
    journal = TaskStateJournal(store)
    assert journal.read() is None
    journal.write(record)
    assert TaskStateJournal(store).read() == record
    journal.delete()
    assert journal.read() is None
    assert store == {}


def test_what_a_later_version_stores_besides_is_left_out() -> None:
    stored = {**asdict(RECORD), "invented_later": 1}
    assert UploadRecord.from_json(stored) == RECORD


def test_a_record_of_the_first_edition_is_understood() -> None:
    """A task may have begun its upload before the package was upgraded."""
    stored: dict[str, Any] = {
        "doc_id": "5412",
        "filename": "boat.jpg",
        "bytes": 200,
        "md5": "1" * 32,
        "before": {
            "md5": "0" * 32,
            "bytes": 100,
            "replaced_at": 50,
            "asked_at": 60,
            "title": "A boat",
            "filename": "old.jpg",
        },
        "twins": [],
        "claim": None,
        "backup": None,
        "owner_id": "1234",
        "url": None,
        "run": "2",
        "at": "2026-01-01T00:00:00Z",
        "alive_at": 2.5,
        "ticket": "712001-98001",
        "result_id": None,
        "proven": None,
        "verified_by": None,
    }
    record = UploadRecord.from_json(json.loads(json.dumps(stored)))
    assert (record.before, record.intent, record.ticket) == (
        DocumentSnapshot("0" * 32, 100, 50, 60),
        "2",
        "712001-98001",
    )
    assert (record.heartbeat_at, record.complete) == (2.5, True)
    proven = UploadRecord.from_json(
        {**stored, "proven": stored["before"], "verified_by": "replaced_at"}
    )
    assert proven.proof == "changed"
    assert proven.proven == record.before


def test_before_airflow_3_3_a_journal_does_not_outlive_the_process() -> None:
    there = context()
    journal_of(there).write(RECORD)
    assert isinstance(journal_of(there), MemoryJournal)
    assert journal_of(there).read() is None


def test_a_journal_lasts_as_long_as_the_task_instance() -> None:
    there = context(task_state_store=Store())
    journal_of(there).write(RECORD)
    assert journal_of(there).read() == RECORD


BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
RUN = SimpleNamespace(run_after=BEGAN, start_date=datetime(2026, 1, 2, tzinfo=UTC))
TASK = SimpleNamespace(retries=2)


@pytest.mark.parametrize(
    ("ti", "store", "intent"),
    [
        ({}, True, Intent("2", BEGAN.timestamp())),
        ({"try_number": 2}, True, Intent("2", BEGAN.timestamp())),
        # Airflow raises max_tries when a task is cleared.
        ({"try_number": 4, "max_tries": 5}, True, Intent("5", BEGAN.timestamp())),
        ({"map_index": 3}, True, Intent("2", BEGAN.timestamp())),
        ({"try_number": 4, "max_tries": 5, "map_index": 0}, True,
         Intent("5", BEGAN.timestamp(), others_cleared=True)),
        ({}, False, Intent("2", BEGAN.timestamp())),
        ({"try_number": 2}, False, Intent("2", BEGAN.timestamp(), without_journal=True)),
    ],
)  # fmt: skip
def test_on_whose_behalf_a_task_replaces(ti: dict[str, Any], store: bool, intent: Intent) -> None:
    instance = SimpleNamespace(**{"max_tries": 2, "try_number": 1, "map_index": -1, **ti})
    parts: dict[str, Any] = {"ti": instance, "dag_run": RUN, "task": TASK}
    if store:
        parts["task_state_store"] = Store()
    assert intent_of(context(**parts)) == intent


def test_a_run_without_a_time_of_its_own_began_when_it_started() -> None:
    there = context(dag_run=SimpleNamespace(run_after=None, start_date=BEGAN), task=TASK)
    assert intent_of(there).since == BEGAN.timestamp()
    assert intent_of(context()).since is None
