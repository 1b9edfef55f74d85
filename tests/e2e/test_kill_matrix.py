"""However a task's process dies, its replacement is accepted once and the task ends green."""

from __future__ import annotations

import hashlib
import os
import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from scripts.rig import AirflowApi
from tests.conftest import Service, draw
from tests.e2e.conftest import make_documents

BOUNDARIES = (
    "before the intent",
    "between intent and POST",
    "mid-body",
    "accepted, before the answer",
    "before the last block",
    "before the ticket is stored",
    "while waiting",
    "before the proof",
)
RANDOM_RUNS = int(os.environ.get("RANDOM_KILLS", "30"))
pytestmark = pytest.mark.timeout(1200 + 10 * RANDOM_RUNS)
# At least so many of them are met: a few of the moments lie after the end.
RANDOM_KILLS = RANDOM_RUNS * 5 // 6
RUNS_PER_BOUNDARY = 2
FILE_BYTES = 3 << 20
# Seconds; a replacement lasts a little longer, so that nearly all random moments lie within one.
LONGEST_LIFE = 3.0


def big_picture(path: Path) -> Path:
    """A picture with as many bytes after its end as make it three blocks long."""
    draw(path, "#ab12cd")
    with path.open("ab") as out:
        out.write(os.urandom(FILE_BYTES - path.stat().st_size))
    return path


def test_a_killed_process_never_sends_twice_and_loses_nothing(
    airflow: AirflowApi, remote: Service, uploads: Path, capsys: Any
) -> None:
    chance = random.Random()
    kills = [(boundary, 0.0) for boundary in BOUNDARIES for _ in range(RUNS_PER_BOUNDARY)]
    kills += [("at random", chance.uniform(0.0, LONGEST_LIFE)) for _ in range(RANDOM_RUNS)]
    documents = make_documents(remote, uploads, len(kills))
    files = [big_picture(uploads / f"kill{number}.jpg") for number in range(len(kills))]
    remote.set(
        processing_seconds=1.5,
        receive_bytes_per_second=FILE_BYTES,
        # The answer of each upload is held back, so that a process can die between acceptance and
        # answer.
        faults=[{"method": "upload.replace", "times": 2 * len(kills), "kind": "slow:1"}],
    )
    runs = [
        {"doc_id": doc_id, "file": str(file), "boundary": boundary, "delay": delay}
        for doc_id, file, (boundary, delay) in zip(documents, files, kills, strict=True)
    ]
    run = airflow.trigger("kill_matrix", runs=runs)
    state = airflow.wait_for_run("kill_matrix", run, seconds=900 + 10 * RANDOM_RUNS)

    accepted = Counter(
        entry["doc_id"] for entry in remote.ledger() if entry["method"] == "upload.replace"
    )
    tries = {
        task["map_index"]: task["try_number"]
        for task in airflow.tasks("kill_matrix", run)
        if task["task_id"] == "replace"
    }
    table: dict[str, Counter[str]] = defaultdict(Counter)
    with remote.client() as client:
        for number, planned in enumerate(runs):
            row = table[str(planned["boundary"])]
            row["runs"] += 1
            row["killed"] += tries[number] > 1
            row["accepted"] += accepted[planned["doc_id"]]
            row["duplicates"] += max(0, accepted[planned["doc_id"]] - 1)
            stored = client.get_document(str(planned["doc_id"])).md5
            row["lost"] += stored != hashlib.md5(files[number].read_bytes()).hexdigest()
    with capsys.disabled():
        show(table)
    assert state == "success"
    assert sum(row["duplicates"] for row in table.values()) == 0
    assert sum(row["lost"] for row in table.values()) == 0
    assert sum(row["accepted"] for row in table.values()) == len(runs)
    # Two tries for each that was killed, one for all others.
    assert max(tries.values()) == 2
    # Each named boundary was really met; of the random moments a few lie after the end.
    assert all(table[boundary]["killed"] == table[boundary]["runs"] for boundary in BOUNDARIES)
    assert table["at random"]["killed"] >= RANDOM_KILLS


def show(table: dict[str, Counter[str]]) -> None:
    columns = ("runs", "killed", "accepted", "duplicates", "lost")
    print(f"\n{'killed':30}", *(f"{column:>10}" for column in columns))
    for boundary, row in table.items():
        print(f"{boundary:30}", *(f"{row[column]:>10}" for column in columns))
