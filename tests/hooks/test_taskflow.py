"""The hook in a `@task`: a retry does not send twice there either."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from airflow.sdk import BaseOperator, Context
from airflow.sdk.execution_time.context import set_current_context as running

from ipernity_provider.bulk.report import BulkFailed
from ipernity_provider.hooks.ipernity import IpernityHook
from ipernity_provider.replacement.errors import Cancelled, Refused
from tests.airflow_exceptions import AirflowFailException
from tests.conftest import BOAT, Connect, Service, draw
from tests.operators.test_operator import context

MOUNTAINS = "5413"


@pytest.fixture(autouse=True)
def connection(connect: Connect) -> None:
    connect(resend_grace=1.0)


def sent(service: Service) -> list[str]:
    return [entry["doc_id"] for entry in service.ledger() if entry["method"] == "upload.replace"]


@pytest.mark.parametrize(("journal", "uploads"), [(True, 1), (False, 2)])
def test_a_retry_sends_nothing_that_an_earlier_try_has_sent(
    service: Service, picture: Path, journal: bool, uploads: int
) -> None:
    there = context()
    results = []
    for _ in range(2):  # equal bytes would be sent again: the journal alone keeps them
        with running(there):
            results.append(
                IpernityHook().replace_file(
                    BOAT, picture, journal=journal, if_unchanged="replace", poll_interval=0.1
                )
            )
    assert [result["outcome"] for result in results] == ["replaced", "replaced"]
    assert (results[0] == results[1]) is journal
    assert sent(service) == [BOAT] * uploads


def test_a_task_that_replaces_several_documents_has_a_record_of_each(
    service: Service, picture: Path, other_picture: Path
) -> None:
    there = context()
    for _ in range(2):
        with running(there):
            for doc_id, file in ((BOAT, picture), (MOUNTAINS, other_picture)):
                IpernityHook().replace_file(doc_id, file, if_unchanged="replace", poll_interval=0.1)
    assert sent(service) == [BOAT, MOUNTAINS]


def test_a_refused_replacement_ends_the_task_at_once(service: Service, tmp_path: Path) -> None:
    with running(context()), pytest.raises(AirflowFailException) as ended:
        IpernityHook().replace_file(BOAT, tmp_path / "missing.jpg")
    assert isinstance(ended.value, Refused)


def test_many_files_are_replaced_once_and_reported(service: Service, tmp_path: Path) -> None:
    rows = [
        {"doc_id": doc_id, "file": str(draw(tmp_path / f"{doc_id}.png", colour))}
        for doc_id, colour in ((BOAT, "#101010"), (MOUNTAINS, "#202020"))
    ]
    report, there = tmp_path / "report.jsonl", context()
    for _ in range(2):
        with running(there):
            summary = IpernityHook().replace_files(
                rows, report_to=report, if_unchanged="replace", poll_interval=0.2, timeout=20
            )
        assert (summary["total"], summary["replaced"]) == (2, 2)
    assert sorted(sent(service)) == sorted([BOAT, MOUNTAINS])
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert [line["outcome"] for line in lines] == ["replaced", "replaced"]


def test_rows_that_cannot_be_replaced_end_the_task_with_the_report_written(
    service: Service, tmp_path: Path
) -> None:
    rows = [
        {"doc_id": BOAT, "file": str(draw(tmp_path / "boat.png", "#101010"))},
        {"doc_id": "404404", "file": str(draw(tmp_path / "lost.png", "#202020"))},
    ]
    report = tmp_path / "report.jsonl"
    with running(context()), pytest.raises(BulkFailed, match="1 replaced, 1 refused") as ended:
        IpernityHook().replace_files(
            rows, report_to=report, on_error="continue", poll_interval=0.2, timeout=20
        )
    assert isinstance(ended.value, AirflowFailException)
    outcomes = [json.loads(line)["outcome"] for line in report.read_text().splitlines()]
    assert outcomes == ["replaced", "refused"]


def test_a_report_does_not_overwrite_a_file(service: Service, picture: Path) -> None:
    rows = [{"doc_id": BOAT, "file": str(picture)}]
    with pytest.raises(Refused, match="would overwrite the manifest or one of its files"):
        IpernityHook().replace_files(rows, report_to=picture)
    assert sent(service) == []


def test_without_a_journal_a_retry_of_many_sends_nothing(service: Service, picture: Path) -> None:
    there = cast("dict[str, Any]", context())
    del there["task_state_store"]  # Airflow 3.2
    there["ti"].try_number = 2
    with running(cast("Context", there)), pytest.raises(Refused, match=r"Before Airflow 3\.3"):
        IpernityHook().replace_files([{"doc_id": BOAT, "file": str(picture)}])
    assert sent(service) == []


def one(picture: Path) -> dict[str, Any]:
    return IpernityHook().replace_file(BOAT, picture, poll_interval=0.1)


def many(picture: Path) -> dict[str, Any]:
    return IpernityHook().replace_files([(BOAT, str(picture))], poll_interval=0.1)


@pytest.mark.parametrize("replace", [one, many])
def test_a_task_that_is_stopped_aborts_its_upload_and_the_next_try_sends_at_once(
    service: Service, picture: Path, connect: Connect, replace: Callable[[Path], Any]
) -> None:
    os.truncate(picture, 64_000_000)  # more than the buffers on the way take in at once
    service.set(receive_bytes_per_second=4_000_000)
    connect(resend_grace=60.0)
    stopped: list[str] = []

    class Task(BaseOperator):
        def on_kill(self) -> None:
            stopped.append(self.task_id)

    task = Task(task_id="own")
    there = context(task=task)

    service.while_sending(lambda: task.on_kill())  # noqa: PLW0108 - the one that it has by then
    with running(there), pytest.raises(Cancelled):
        replace(picture)
    assert stopped == ["own"]
    assert sent(service) == []
    service.set(receive_bytes_per_second=None)
    with running(there):
        replace(picture)
    assert sent(service) == [BOAT]
    task.on_kill()
    assert stopped == ["own", "own"]
