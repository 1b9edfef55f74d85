"""A person decides between plan and replacement, over Airflow's API for required actions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scripts.rig import AirflowApi, wait_for
from tests.conftest import BOAT, Service, draw
from tests.e2e.conftest import assert_green, replacements

pytestmark = pytest.mark.timeout(600)

DAG_ID = "ipernity_approve"


def ask_for_approval(airflow: AirflowApi, file: Path) -> tuple[str, dict[str, Any]]:
    """Trigger the DAG; return the run and what the person is asked."""
    run = airflow.trigger(DAG_ID, document=BOAT, file=str(file))

    def asked() -> Any:
        found = airflow.get(f"/dags/{DAG_ID}/dagRuns/{run}/hitlDetails")["hitl_details"]
        return found and found[0]

    return run, wait_for("the question", asked, 120)


def answer(airflow: AirflowApi, run: str, choice: str) -> None:
    path = f"/dags/{DAG_ID}/dagRuns/{run}/taskInstances/approve/-1/hitlDetails"
    airflow.send("PATCH", path, {"chosen_options": [choice], "params_input": {}})


def test_nothing_is_sent_before_a_person_approves(
    airflow: AirflowApi, remote: Service, uploads: Path
) -> None:
    file = draw(uploads / "approved.jpg", "#445566")
    run, question = ask_for_approval(airflow, file)
    assert question["subject"] == f"Replace the file of document {BOAT}?"
    for words in (f"/doc/1234/{BOAT})", "approved.jpg", f"{file.stat().st_size} bytes"):
        assert words in question["body"]
    assert replacements(remote) == []
    answer(airflow, run, "Approve")
    assert_green(airflow, DAG_ID, run)
    (accepted,) = replacements(remote)
    assert accepted["doc_id"] == BOAT


def test_a_rejected_plan_skips_the_replacement(
    airflow: AirflowApi, remote: Service, uploads: Path
) -> None:
    run, _ = ask_for_approval(airflow, draw(uploads / "rejected.jpg", "#665544"))
    answer(airflow, run, "Reject")
    assert airflow.wait_for_run(DAG_ID, run) == "success"
    states = {task["task_id"]: task["state"] for task in airflow.tasks(DAG_ID, run)}
    assert states == {"plan": "success", "approve": "success", "replace": "skipped"}
    assert replacements(remote) == []
