"""What the view makes of a task's XComs and fields, whatever a DAG's author has put there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ipernity_provider.plugins.entries import (
    MANY,
    ONE,
    Entry,
    TaskFacts,
    TaskKey,
    Transfer,
    read_entry,
    read_transfer,
)
from ipernity_provider.replacement.request import Result

BEGUN = datetime(2026, 11, 27, 11, 0, tzinfo=UTC)
PAGE = "https://www.ipernity.com/doc/12345/5412"
RESULT = Result(
    outcome="replaced",
    doc_id="5412",
    ticket="7-abc",
    filename="boat.jpg",
    bytes=1234,
    md5="d" * 32,
    proof="md5",
    url=PAGE,
    backup="/data/backups/5412-x.jpg",
).as_dict()
SUMMARY = {"total": 3, "replaced": 2, "failed": 1, "unchanged": 0, "bytes_sent": 99, "report": "/r"}


def entry_of(operator: str, state: str, xcoms: Any = None, **fields: Any) -> Entry:
    found = read_entry(facts(operator, state, xcoms, **fields))
    assert found
    return found


def facts(operator: str, state: str, xcoms: Any = None, **fields: Any) -> TaskFacts:
    return TaskFacts(
        key=TaskKey("refresh", "manual__1", "replace"),
        operator=operator,
        state=state,
        started=BEGUN,
        ended=BEGUN + timedelta(seconds=4.2),
        xcoms=xcoms or {},
        fields=fields,
    )


def test_a_result_becomes_an_entry_with_the_file_as_it_was_given() -> None:
    found = entry_of(
        ONE,
        "success",
        {"return_value": RESULT},
        file="s3://media/boat.jpg",
        ipernity_conn_id="club",
    )
    assert found == Entry(
        key=TaskKey("refresh", "manual__1", "replace"),
        many=False,
        outcome="replaced",
        started=BEGUN,
        seconds=4.2,
        doc_id="5412",
        file="s3://media/boat.jpg",
        bytes=1234,
        md5="d" * 32,
        ticket="7-abc",
        proof="md5",
        url=PAGE,
        backup="/data/backups/5412-x.jpg",
        conn_id="club",
    )


def test_without_the_fields_the_name_that_was_sent_is_shown() -> None:
    assert entry_of(ONE, "success", {"return_value": RESULT}).file == "boat.jpg"


@pytest.mark.parametrize(
    ("state", "xcoms", "outcome"),
    [
        ("failed", {"reason": "It is gone."}, "failed"),
        ("failed", {"reason": "A new one.", "new_doc_id": "5420"}, "new_document"),
        ("up_for_retry", {"reason": "The service was busy."}, "retrying"),
        ("skipped", {"url": PAGE}, "skipped"),
        ("running", {"url": PAGE}, "running"),
        ("deferred", {}, "running"),
        ("success", {}, "finished"),
        ("success", {"return_value": {**RESULT, "outcome": "<b>"}}, "finished"),
    ],
)
def test_the_outcome_of_a_task_without_a_result(state: str, xcoms: Any, outcome: str) -> None:
    assert entry_of(ONE, state, xcoms).outcome == outcome


def test_a_failed_task_shows_its_reason_and_the_document_of_its_fields() -> None:
    found = entry_of(ONE, "failed", {"reason": "It is gone."}, doc_id=PAGE, file="/data/boat.jpg")
    assert (found.doc_id, found.reason, found.file) == ("5412", "It is gone.", "/data/boat.jpg")


def test_the_document_is_known_by_its_page_where_nothing_else_names_it() -> None:
    assert entry_of(ONE, "failed", {"url": "http://127.0.0.1:8080/doc/7/5412"}).doc_id == "5412"


def test_a_task_that_is_not_over_has_taken_no_time_yet() -> None:
    assert entry_of(ONE, "running").seconds is None


def test_many_documents_have_counts_and_a_report() -> None:
    found = entry_of(MANY, "failed", {"return_value": SUMMARY}, manifest="/m.csv")
    assert found.many
    assert found.counts == {"replaced": 2, "failed": 1}
    assert (found.report, found.file, found.bytes) == ("/r", "/m.csv", 99)
    assert [name for name in ("replaced", "failed", "unchanged") if found.has_outcome(name)] == [
        "replaced",
        "failed",
    ]


def test_the_report_of_a_task_that_has_not_ended_is_that_of_its_fields() -> None:
    assert entry_of(MANY, "running", report_to="/r.jsonl").report == "/r.jsonl"


@pytest.mark.parametrize("operator", ["_PythonDecoratedOperator", "OurReplaceFileOperator"])
def test_what_returns_such_a_result_is_one_of_ours_whoever_made_it(operator: str) -> None:
    assert entry_of(operator, "success", {"return_value": RESULT}).outcome == "replaced"
    assert entry_of(operator, "success", {"return_value": SUMMARY}).many


@pytest.mark.parametrize("value", [None, 5, "text", [], {"outcome": "replaced"}, {"proof": 1}])
def test_nothing_else_is_one_of_ours(value: Any) -> None:
    assert read_entry(facts("BashOperator", "success", {"return_value": value})) is None


@pytest.mark.parametrize(
    "value", ["javascript:alert(1)", "data:text/html,x", "//elsewhere", "ftp://x", 5, None, ["x"]]
)
def test_a_link_leads_to_the_web_alone(value: Any) -> None:
    assert entry_of(ONE, "success", {"return_value": {**RESULT, "url": value}}).url is None


@pytest.mark.parametrize("value", [-1, 10**30, True, "5", 1.5, None, {}])
def test_a_size_is_a_whole_number(value: Any) -> None:
    assert entry_of(ONE, "success", {"return_value": {**RESULT, "bytes": value}}).bytes is None


def test_text_is_cut_and_cleaned() -> None:
    result = RESULT | {"reason": "a\u202eb\x1b[31m\nc" + "x" * 9999, "md5": "y" * 999}
    found = entry_of(ONE, "success", {"return_value": result}, file="s3://b/k?X-Amz-Signature=abc")
    assert found.reason.startswith("a\ufffdb\ufffd[31m\nc")
    assert 1000 < len(found.reason) <= 2000
    assert len(found.md5 or "") == 64
    assert found.file == "s3://b/k?..."


def test_what_was_transferred_is_listed_and_what_was_not_with_its_reason() -> None:
    result = RESULT | {
        "outcome": "transferred",
        "new_doc_id": "5420",
        "new_url": "https://www.ipernity.com/doc/1/5420",
        "transferred": ["title", "album 201"],
        "not_transferred": {"album 202": "The service refused:\nit is full."},
    }
    found = entry_of(ONE, "success", {"return_value": result})
    assert (found.outcome, found.new_doc_id) == ("transferred", "5420")
    assert found.transfer == Transfer(
        new_url="https://www.ipernity.com/doc/1/5420",
        transferred=("title", "album 201"),
        not_transferred=(("album 202", "The service refused: it is full."),),
    )


@pytest.mark.parametrize("given", [None, 7, "title", {"title": 1}, [None, {}]])
def test_a_transfer_of_another_form_breaks_nothing(given: Any) -> None:
    transfer = read_transfer(
        {"transferred": given, "not_transferred": given, "new_url": "javascript:alert(1)"}
    )
    assert transfer.new_url is None
    assert all(isinstance(part, str) for part in transfer.transferred)


def test_of_a_long_transfer_the_first_parts_are_shown() -> None:
    parts = [f"album {number}" for number in range(99)]
    transfer = read_transfer({"transferred": parts, "not_transferred": dict.fromkeys(parts, "no")})
    assert (len(transfer.transferred), len(transfer.not_transferred)) == (40, 40)
