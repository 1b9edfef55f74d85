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

DAG_ID = "ipernity_replace_file"


def test_a_task_marked_as_failed_stops_sending_and_once_cleared_sends_at_once(
    airflow: AirflowApi, remote: Service, uploads: Path
) -> None:
    (doc_id,) = make_documents(remote, uploads, 1)
    file = draw(uploads / "long.jpg", "#0000ff")
    os.truncate(file, 100_000_000)  # more than the buffers on the way take in at once
    remote.set(receive_bytes_per_second=4_000_000)
    run = airflow.trigger(DAG_ID, document=doc_id, file=str(file))

    def log() -> str:
        with suppress(requests.HTTPError):  # there is none before the task runs
            return airflow.log(DAG_ID, run, "replace")
        return ""

    wait_for("the upload", lambda: "MiB (" in log(), 60)
    airflow.send(
        "PATCH", f"/dags/{DAG_ID}/dagRuns/{run}/taskInstances/replace", {"new_state": "failed"}
    )
    wait_for("the upload to be aborted", lambda: "the upload was aborted" in log(), 60)
    assert replacements(remote) == []
    assert airflow.wait_for_run(DAG_ID, run) == "failed"
    remote.set(receive_bytes_per_second=None)
    airflow.clear(DAG_ID, run)
    # Were it in doubt whether the file arrived, the next try would ask for ten minutes.
    assert_green(airflow, DAG_ID, run, tries=2, seconds=120)
    assert len(replacements(remote)) == 1
