"""A person decides between plan and replacement, over Airflow's API for required actions."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from scripts.rig import AirflowApi, wait_for
from tests.conftest import BOAT, Service, draw
from tests.e2e.conftest import replacements

pytestmark = pytest.mark.timeout(600)

DAG_ID = "ipernity_approve"
_READING_SECONDS = 6.0


def questions(airflow: AirflowApi, run: str) -> list[dict[str, Any]]:
    """What a person is asked and has not answered."""
    found = airflow.get(f"/dags/{DAG_ID}/dagRuns/{run}/hitlDetails")["hitl_details"]
    return [question for question in found if not question["response_received"]]


def ask_for_approval(airflow: AirflowApi, file: Path) -> tuple[str, dict[str, Any]]:
    """Trigger the DAG; return the run and what the person is asked."""
    run = airflow.trigger(DAG_ID, document=BOAT, file=str(file))
    (question,) = wait_for("the question", lambda: questions(airflow, run), 120)
    return run, question


def answer(airflow: AirflowApi, run: str, choice: str) -> dict[str, tuple[str, int]]:
    """Answer as often as Airflow asks; return state and tries of each task at the run's end.

    Who answers within seconds is faster than the scheduler of Airflow 3.3.2 notices that the task
    waits, and is asked again by its next try; after the last one the task fails. A person takes
    longer.
    """
    path = f"/dags/{DAG_ID}/dagRuns/{run}/taskInstances/approve/-1/hitlDetails"

    def waits() -> bool:
        states = {task["task_id"]: task["state"] for task in airflow.tasks(DAG_ID, run)}
        return states["approve"] in {"awaiting_input", "deferred"}

    def ended() -> bool:
        if questions(airflow, run) and waits():
            time.sleep(_READING_SECONDS)
            airflow.send("PATCH", path, {"chosen_options": [choice], "params_input": {}})
        return airflow.get(f"/dags/{DAG_ID}/dagRuns/{run}")["state"] in {"success", "failed"}

    wait_for("the end of the run", ended, 300)
    return {
        task["task_id"]: (task["state"], task["try_number"]) for task in airflow.tasks(DAG_ID, run)
    }


def test_nothing_is_sent_before_a_person_approves(
    airflow: AirflowApi, remote: Service, uploads: Path
) -> None:
    file = draw(uploads / "approved.jpg", "#445566")
    run, question = ask_for_approval(airflow, file)
    assert question["subject"] == f"Replace the file of document {BOAT}?"
    for words in (f"/doc/1234/{BOAT})", "approved.jpg", f"{file.stat().st_size} bytes"):
        assert words in question["body"]
    assert replacements(remote) == []
    tasks = answer(airflow, run, "Approve")
    state, tries = tasks.pop("approve")
    assert (state, tries <= 2) == ("success", True), tries  # see above: asked again at most once
    assert tasks == {"plan": ("success", 1), "replace": ("success", 1)}
    (accepted,) = replacements(remote)
    assert accepted["doc_id"] == BOAT


def test_a_rejected_plan_skips_the_replacement(
    airflow: AirflowApi, remote: Service, uploads: Path
) -> None:
    run, _ = ask_for_approval(airflow, draw(uploads / "rejected.jpg", "#665544"))
    tasks = answer(airflow, run, "Reject")
    states = {task_id: state for task_id, (state, _) in tasks.items()}
    assert states == {"plan": "success", "approve": "success", "replace": "skipped"}
    assert tasks["approve"][1] <= 2
    assert replacements(remote) == []
