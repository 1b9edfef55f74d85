"""Two tasks, one document: whoever is green has seen the document with its own file.

More timings: ``TIMINGS=50 pytest tests/e2e/test_two_writers.py``.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from scripts.rig import AirflowApi
from tests.conftest import Service, draw
from tests.e2e.conftest import make_documents, replacements

pytestmark = pytest.mark.timeout(3000)

DAG_ID = "two_writers"
TIMINGS = int(os.environ.get("TIMINGS", "6"))


def md5_of(file: object) -> str:
    return hashlib.md5(Path(str(file)).read_bytes()).hexdigest()


@pytest.mark.parametrize("deferrable", [False, True])
def test_nobody_is_green_without_its_bytes_at_the_moment_of_proof(
    airflow: AirflowApi,
    remote: Service,
    uploads: Path,
    tmp_path: Path,
    deferrable: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    chance = random.Random()
    documents = make_documents(remote, uploads, TIMINGS)
    # Airflow 3.3.2 loses a deferral that is shorter than its scheduler's look at the task.
    processing = 4.0 if deferrable else 1.0
    remote.set(processing_seconds=processing)
    runs: list[dict[str, Any]] = []
    for number, doc_id in enumerate(documents):
        for name, colour in (("a", "#aa00"), ("b", "#00bb")):
            runs.append(
                {
                    "doc_id": doc_id,
                    "file": str(draw(uploads / f"{name}{number}.jpg", f"{colour}{number:02x}")),
                    "meeting": str(tmp_path / doc_id),
                    "delay": round(chance.uniform(0.0, 2.0 + processing), 2),
                    "deferrable": deferrable,
                }
            )
    run = airflow.trigger(DAG_ID, runs=runs)
    airflow.wait_for_run(DAG_ID, run, seconds=2400)

    sent = Counter((entry["doc_id"], entry["md5"]) for entry in replacements(remote))
    states = {
        task["map_index"]: task
        for task in airflow.tasks(DAG_ID, run)
        if task["task_id"] == "replace"
    }
    endings: Counter[str] = Counter()
    with remote.client() as client:
        for number, writer in enumerate(runs):
            md5, state = md5_of(writer["file"]), states[number]
            said = f"{writer} ended as {state['state']}"
            assert sent[writer["doc_id"], md5] == 1, said
            # A deferral can be lost all the same on a busy machine; the next try goes on waiting.
            assert state["try_number"] <= (2 if deferrable else 1), said
            endings[state["state"]] += 1
            if state["state"] == "success":
                assert airflow.xcom(DAG_ID, run, "replace", "shown", number) == md5, said
            else:
                reason = airflow.xcom(DAG_ID, run, "replace", "reason", number)
                assert "somebody else replaced it" in reason, reason
            # Nobody came after the one whose file the document carries.
            if client.get_document(writer["doc_id"]).md5 == md5:
                assert state["state"] == "success", said
    with capsys.disabled():
        print(f"\n{TIMINGS} timings, deferrable={deferrable}: {dict(endings)}")
