"""A manifest in a real Airflow: killed thrice, stopped by the volume, finished next month."""

from __future__ import annotations

import csv
import json
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from scripts.rig import AirflowApi, wait_for
from tests.conftest import Service, draw
from tests.e2e.conftest import replacements

pytestmark = pytest.mark.timeout(3600)

DAG_ID = "batch"
#: Of so many pairs, 15 % are unchanged, 1 % refused, and the volume ends at three quarters.
PAIRS = int(os.environ.get("BATCH_PAIRS", "200"))
UNCHANGED, REFUSED, AFFORDABLE = PAIRS * 15 // 100, PAIRS // 100, PAIRS * 3 // 4


def make_manifest(remote: Service, uploads: Path) -> tuple[Path, list[dict[str, Any]]]:
    """The pairs, spread: some documents carry the file already, some do not exist."""
    files = [draw(uploads / f"batch{number}.png", f"#ff{number:04x}") for number in range(PAIRS)]
    doc_ids = remote.add_documents(
        new if number < UNCHANGED else draw(uploads / "old.png", f"#{number:06x}")
        for number, new in enumerate(files)
    )
    for number in range(UNCHANGED, UNCHANGED + REFUSED):
        doc_ids[number] = str(90_000_000 + number)
    rows = [
        {"doc_id": doc_id, "file": str(file)} for doc_id, file in zip(doc_ids, files, strict=True)
    ]
    manifest = uploads / "manifest.csv"
    with manifest.open("w", newline="") as out:
        writer = csv.DictWriter(out, ["doc_id", "file"])
        writer.writeheader()
        writer.writerows(rows)
    return manifest, rows


def kill_when(airflow: AirflowApi, remote: Service, run: str, accepted: int) -> None:
    """End the task's process once the service has accepted so many."""
    wait_for(f"{accepted} uploads", lambda: len(replacements(remote)) >= accepted, 900, every=0.05)

    def pid() -> int:
        (task,) = airflow.tasks(DAG_ID, run)
        return int(task["pid"] or 0) if task["state"] == "running" else 0

    os.kill(wait_for("the task's process", pid, 60), signal.SIGKILL)


def report_of(path: Path) -> dict[str, dict[str, Any]]:
    return {row["doc_id"]: row for row in map(json.loads, path.read_text().splitlines())}


def test_a_batch_survives_kills_and_an_exhausted_volume_and_the_next_month_finishes_it(
    airflow: AirflowApi,
    remote: Service,
    uploads: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    manifest, rows = make_manifest(remote, uploads)
    to_send = [Path(row["file"]).stat().st_size for row in rows[UNCHANGED + REFUSED :]]
    affordable = AFFORDABLE - UNCHANGED - REFUSED
    remote.set(processing_seconds=0.3, quota_left_bytes=sum(to_send[:affordable]))
    run = airflow.trigger(DAG_ID, manifest=str(manifest), report=str(tmp_path / "first.jsonl"))
    for part in (0.2, 0.5, 0.8):
        kill_when(airflow, remote, run, int(affordable * part))
    assert airflow.wait_for_run(DAG_ID, run, seconds=3000) == "failed"

    accepted = Counter(entry["doc_id"] for entry in replacements(remote))
    assert set(accepted.values()) == {1}
    assert len(accepted) == affordable
    first = report_of(tmp_path / "first.jsonl")
    assert list(first) == [row["doc_id"] for row in rows]
    fates = Counter(row["outcome"] for row in first.values())
    assert fates == {
        "unchanged": UNCHANGED,
        "refused": REFUSED,
        "replaced": affordable,
        "not_sent": PAIRS - AFFORDABLE,
    }
    assert {doc_id for doc_id, row in first.items() if row["outcome"] == "replaced"} == set(
        accepted
    )
    (task,) = airflow.tasks(DAG_ID, run)
    assert task["try_number"] == 4
    log = airflow.log(DAG_ID, run, "replace", try_number=4)
    assert f"Of {PAIRS} replacements: {affordable} replaced, {UNCHANGED} unchanged" in log
    assert "of this month's upload volume" in log

    remote.set(quota_left_bytes=10**9)
    later = airflow.trigger(DAG_ID, manifest=str(manifest), report=str(tmp_path / "second.jsonl"))
    assert airflow.wait_for_run(DAG_ID, later, seconds=3000) == "failed"  # for what was refused
    accepted = Counter(entry["doc_id"] for entry in replacements(remote))
    assert set(accepted.values()) == {1}
    assert len(accepted) == PAIRS - UNCHANGED - REFUSED
    second = Counter(row["outcome"] for row in report_of(tmp_path / "second.jsonl").values())
    assert second == {
        "unchanged": UNCHANGED + affordable,
        "refused": REFUSED,
        "replaced": PAIRS - AFFORDABLE,
    }
    with capsys.disabled():
        print(f"\n{PAIRS} pairs, 3 kills: {len(accepted)} accepted uploads, none twice")
