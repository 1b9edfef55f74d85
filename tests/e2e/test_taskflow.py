"""`hook.replace_file` and `hook.replace_files` in a `@task` whose process is killed."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import pytest

from scripts.rig import AirflowApi
from tests.conftest import Service
from tests.e2e.conftest import assert_green, make_pairs, replacements

pytestmark = pytest.mark.timeout(900)

#: Where the first try ends -> how many tries there are. The service has the file at each of them.
BOUNDARIES = {
    "": 1,
    "accepted, before the answer": 2,
    "before the ticket is stored": 2,
    "while waiting": 2,
}
ROWS = 6


def slow_to_answer(remote: Service, uploads: int) -> None:
    """Hold back each answer, so that a process can die between acceptance and answer."""
    remote.set(
        processing_seconds=1.5,
        faults=[{"method": "upload.replace", "times": 2 * uploads, "kind": "slow:1"}],
    )


def test_a_task_of_ones_own_sends_once_wherever_it_is_killed(
    airflow: AirflowApi, remote: Service, uploads: Path
) -> None:
    pairs = make_pairs(remote, uploads, len(BOUNDARIES))
    slow_to_answer(remote, len(pairs))
    runs = [pair | {"boundary": boundary} for pair, boundary in zip(pairs, BOUNDARIES, strict=True)]
    run = airflow.trigger("kill_taskflow", runs=runs)
    state = airflow.wait_for_run("kill_taskflow", run, seconds=300)

    tries = {
        runs[task["map_index"]]["boundary"]: task["try_number"]
        for task in airflow.tasks("kill_taskflow", run)
        if task["task_id"] == "replace_one"
    }
    assert (state, tries) == ("success", BOUNDARIES)
    accepted = Counter(entry["doc_id"] for entry in replacements(remote))
    assert accepted == {pair["doc_id"]: 1 for pair in pairs}
    assert remote.calls()["upload.replace"] == len(pairs)  # not even offered again
    for number, pair in enumerate(pairs):
        result = airflow.xcom("kill_taskflow", run, "replace_one", map_index=number)
        assert (result["outcome"], result["proof"], result["doc_id"]) == (
            "replaced",
            "md5",
            pair["doc_id"],
        )


@pytest.mark.parametrize(("boundary", "tries"), [("", 1), ("accepted, before the answer", 2)])
def test_many_documents_in_a_task_of_ones_own_are_sent_once(
    airflow: AirflowApi, remote: Service, uploads: Path, boundary: str, tries: int
) -> None:
    pairs = make_pairs(remote, uploads, ROWS)
    slow_to_answer(remote, ROWS)
    killed_at = pairs[ROWS // 2]["doc_id"]
    run = airflow.trigger("kill_taskflow_many", rows=pairs, boundary=boundary, killed_at=killed_at)
    assert_green(airflow, "kill_taskflow_many", run, tries=tries, seconds=300)

    accepted = Counter(entry["doc_id"] for entry in replacements(remote))
    assert accepted == {pair["doc_id"]: 1 for pair in pairs}
    with remote.client() as client:
        for pair in pairs:
            stored = client.get_document(str(pair["doc_id"])).md5
            assert stored == hashlib.md5(Path(pair["file"]).read_bytes()).hexdigest()
    summary = airflow.xcom("kill_taskflow_many", run, "replace_many")
    assert (summary["total"], summary["replaced"]) == (ROWS, ROWS)
