"""A task that is stopped while it sends."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from scripts.rig import AirflowApi, wait_for
from tests.conftest import Service, draw
from tests.e2e.conftest import assert_green, make_documents, replacements

pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize(
    ("dag_id", "task_id"),
    [("ipernity_replace_file", "replace"), ("kill_taskflow_many", "replace_many")],
)
def test_a_task_marked_as_failed_stops_sending_and_once_cleared_sends_at_once(
    airflow: AirflowApi, remote: Service, uploads: Path, dag_id: str, task_id: str
) -> None:
    (doc_id,) = make_documents(remote, uploads, 1)
    file = draw(uploads / "long.jpg", "#0000ff")
    os.truncate(file, 100_000_000)  # more than the buffers on the way take in at once
    remote.set(receive_bytes_per_second=4_000_000)
    pair = {"doc_id": doc_id, "file": str(file)}
    conf = (
        {"rows": [pair]} if task_id == "replace_many" else {"document": doc_id, "file": str(file)}
    )
    run = airflow.trigger(dag_id, **conf)

    def log() -> str:
        with suppress(requests.HTTPError):  # there is none before the task runs
            return airflow.log(dag_id, run, task_id)
        return ""

    wait_for("the upload", lambda: "MiB (" in log(), 60)
    airflow.send(
        "PATCH", f"/dags/{dag_id}/dagRuns/{run}/taskInstances/{task_id}", {"new_state": "failed"}
    )
    wait_for("the upload to be aborted", lambda: "the upload was aborted" in log(), 60)
    assert replacements(remote) == []
    assert airflow.wait_for_run(dag_id, run) == "failed"
    remote.set(receive_bytes_per_second=None)
    airflow.clear(dag_id, run)
    # Were it in doubt whether the file arrived, the next try would ask for ten minutes.
    assert_green(airflow, dag_id, run, tries=2, seconds=120)
    assert len(replacements(remote)) == 1
