"""What a failed task of a real Airflow says in its log, and what it leaves behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scripts.rig import AirflowApi, wait_for
from tests.conftest import Service, draw
from tests.e2e.conftest import make_pairs

pytestmark = pytest.mark.timeout(900)

DAG_ID = "failing"


def records(
    airflow: AirflowApi, run: str, task_id: str, try_number: int = 1
) -> list[dict[str, Any]]:
    path = f"/dags/{DAG_ID}/dagRuns/{run}/taskInstances/{task_id}/logs/{try_number}"
    return list(airflow.get(path, full_content="true")["content"])


def said(log: list[dict[str, Any]], level: str) -> list[str]:
    """What this package said at this level, without Airflow's own record of the exception."""
    return [
        line["event"] for line in log if line.get("level") == level and not line.get("error_detail")
    ]


def raised(log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The exceptions that Airflow shows at the end."""
    (last,) = (line for line in log if line["event"] == "Task failed with exception")
    return list(last["error_detail"])


def keys(airflow: AirflowApi, run: str, task_id: str) -> set[str]:
    path = f"/dags/{DAG_ID}/dagRuns/{run}/taskInstances/{task_id}/xcomEntries"
    return {entry["key"] for entry in airflow.get(path)["xcom_entries"]}


def test_failed_tasks_say_why_in_short_lines_and_leave_what_is_known_as_xcoms(
    airflow: AirflowApi, remote: Service, uploads: Path, tmp_path: Path
) -> None:
    single, late = make_pairs(remote, uploads, 2)
    late["file"] = str(uploads / "late.jpg")
    Path(late["file"]).unlink(missing_ok=True)
    report = tmp_path / "report.jsonl"
    # Long enough for a real deferral: the error is met by the resumed task.
    remote.set(processing_seconds=2, replace_mode="new_document")
    run = airflow.trigger(
        DAG_ID, document=single["doc_id"], file=single["file"], manifest=[late], report=str(report)
    )
    assert airflow.wait_for_run(DAG_ID, run) == "failed"

    log = records(airflow, run, "replace")
    new_doc_id = str(airflow.xcom(DAG_ID, run, "replace", "new_doc_id"))
    lines = said(log, "error")
    assert lines[0] == (
        f"The service created document {new_doc_id} instead of replacing the file of document "
        f"{single['doc_id']}."
    )
    assert "Nothing was deleted." in lines
    assert max(map(len, lines)) <= 100
    (exception,) = raised(log)
    assert exception["exc_type"] == "NewDocument"
    assert not [
        frame
        for frame in exception["frames"]
        if "ipernity_provider/replacement" in frame["filename"]
    ]
    assert airflow.xcom(DAG_ID, run, "look_behind") == {
        "reason": exception["exc_value"],
        "new_doc_id": new_doc_id,
        "url": f"{remote.url}/doc/1234/{single['doc_id']}",
    }

    lines = said(records(airflow, run, "batch"), "error")
    assert lines[0] == "Of 1 replacement: 1 refused."
    assert lines[1].startswith(f"item 1, document {late['doc_id']}: ")
    assert max(map(len, lines)) <= 100
    behind = airflow.xcom(DAG_ID, run, "look_at_all")
    assert (behind["summary"]["total"], behind["summary"]["refused"]) == (1, 1)
    assert behind["report"] == behind["summary"]["report"] == str(report)
    assert "reason" in keys(airflow, run, "batch")

    assert said(records(airflow, run, "call"), "error")[0] == (
        "doc.get for document 90000001: Document not found (code 1)."
    )
    tries = {task["task_id"]: task["try_number"] for task in airflow.tasks(DAG_ID, run)}
    assert (tries["replace"], tries["call"]) == (1, 1)  # they have retries, which would not help

    remote.set(processing_seconds=0.1, replace_mode="in_place")
    draw(uploads / "late.jpg", "#123456")
    airflow.clear(DAG_ID, run, "batch", "look_at_all")
    assert airflow.wait_for_run(DAG_ID, run) == "failed"  # still by the others
    wait_for(
        "the batch",
        lambda: airflow.xcom(DAG_ID, run, "look_at_all")["summary"]["replaced"] == 1,
        90,
        every=1.0,
    )
    assert "reason" not in keys(
        airflow, run, "batch"
    )  # what a failure has left is gone with the next try
    # A long place continues on the next line, indented.
    told = " ".join(" ".join(said(records(airflow, run, "batch", 2), "info")).split())
    assert f"The report of every document: {report}"[:40] in told


def test_a_try_says_that_another_follows_and_a_green_one_what_it_has_done(
    airflow: AirflowApi, remote: Service, uploads: Path
) -> None:
    (single,) = make_pairs(remote, uploads, 1)
    remote.fail("code:500", "account.getQuota", times=4)
    run = airflow.trigger(DAG_ID, document=single["doc_id"], file=single["file"])
    assert airflow.wait_for_run(DAG_ID, run) == "failed"  # by the other tasks

    lines = said(records(airflow, run, "replace"), "warning")
    assert any(line.startswith("account.getQuota: ") and "(code 500)" in line for line in lines)
    assert lines[-1] == "Airflow will try again; this was try 1 of 2."
    lines = said(records(airflow, run, "replace", 2), "info")
    start = next(n for n, line in enumerate(lines) if line.endswith("carries the new file."))
    assert lines[start].startswith(f"Document {single['doc_id']} ")
    assert lines[start + 1].startswith("Old file: old.jpg, ")
    assert lines[start + 2].startswith("New file: new0.jpg, ")
    assert lines[start + 3] == "Proof: md5"
    assert lines[start + 4] == f"Page: {remote.url}/doc/1234/{single['doc_id']}"
    assert "carries new0.jpg" in airflow.xcom(DAG_ID, run, "look_behind")["reason"]
