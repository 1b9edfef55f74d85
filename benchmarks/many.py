"""Many small files in a real Airflow: one batch, mapped tasks, and a loop by hand.

All of them run against the sandbox.

Wall time is that of the DAG run; CPU seconds are those of all of Airflow's processes meanwhile, the
sandbox's apart. How many files: BENCH_FILES (2000); how long the service works on each:
BENCH_PROCESSING_SECONDS (0.2).
"""

from __future__ import annotations

import csv
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import requests
from PIL import Image

from benchmarks.measure import table
from ipernity_provider.api.client import IpernityClient
from ipernity_provider.sandbox import running_sandbox
from scripts.rig import SANDBOX_ACCOUNT, AirflowApi, airflow_env, connection_json, running_airflow

FILES = int(os.environ.get("BENCH_FILES", "2000"))
PROCESSING_SECONDS = float(os.environ.get("BENCH_PROCESSING_SECONDS", "0.2"))
WAYS = {
    "python_loop": "PythonOperator, PyIpernity",
    "one_batch": "ReplaceFilesOperator",
    "mapped_tasks": "mapped ReplaceFileOperator",
}


def main() -> None:
    print(f"{FILES} small files, the service works on each for {PROCESSING_SECONDS:g} s\n")
    with tempfile.TemporaryDirectory(prefix="ipernity-bench-") as folder:
        rows = []
        for dag_id, name in WAYS.items():
            rows.append([name, *measured(Path(folder) / dag_id, dag_id)])
            print("  " + ", ".join(rows[-1]), file=sys.stderr)
    _, wall, cpu, _ = rows[list(WAYS).index("one_batch")]
    for row in rows:
        row += [f"{float(row[1]) / float(wall):.2f}", f"{float(row[2]) / float(cpu):.2f}"]
    columns = ["way", "wall s", "CPU s", "accepted", "wall / batch", "CPU / batch"]
    print(table(columns, rows))


def measured(home: Path, dag_id: str) -> list[str]:
    """Return wall seconds, CPU seconds and accepted replacements of one way.

    Each way has a sandbox and an Airflow of its own.
    """
    home.mkdir()
    with running_sandbox(settings={"processing_seconds": 0, "require_lg": False}) as sandbox:
        manifest = make_manifest(sandbox, home)
        settings = {"processing_seconds": PROCESSING_SECONDS}
        requests.put(f"{sandbox}/_sandbox/settings", json=settings, timeout=10).raise_for_status()
        apart = {process.pid for process in psutil.Process().children(recursive=True)}
        env = airflow_env(
            home / "airflow",
            Path(__file__).parent / "dags",
            AIRFLOW__CORE__MAX_MAP_LENGTH=str(FILES),
            AIRFLOW_CONN_IPERNITY_DEFAULT=connection_json(sandbox),
        )
        with running_airflow(env) as airflow:
            airflow.wait_for_dags(*WAYS)
            with counted(apart) as used:
                run = airflow.trigger(dag_id, manifest=str(manifest))
                state = airflow.wait_for_run(dag_id, run, seconds=24 * 3600)
            if state != "success":
                raise SystemExit(f"{dag_id} ended as {state}.\n{last_log(airflow, dag_id, run)}")
        ledger = requests.get(f"{sandbox}/_sandbox/ledger", timeout=60).json()
    accepted = sum(entry["method"] == "upload.replace" for entry in ledger)
    if accepted != FILES:
        raise SystemExit(
            f"{dag_id} is green, but the service has accepted {accepted} files of {FILES}."
        )
    return [f"{used['wall']:.1f}", f"{used['cpu']:.1f}", str(accepted)]


def make_manifest(sandbox: str, folder: Path) -> Path:
    manifest = folder / "manifest.csv"
    with (
        IpernityClient(**SANDBOX_ACCOUNT, base_url=sandbox) as client,
        manifest.open("w", newline="") as out,
    ):
        writer = csv.writer(out)
        writer.writerow(["doc_id", "file"])
        for number in range(FILES):
            old, new = folder / "old.jpg", folder / f"new{number}.jpg"
            Image.new("RGB", (160, 100), f"#{number:06x}").save(old)
            Image.new("RGB", (160, 100), f"#ff{number:04x}").save(new)
            writer.writerow([client.upload_file(old, asynchronous=False).doc_id, new])
    return manifest


@contextmanager
def counted(apart: set[int]) -> Iterator[dict[str, float]]:
    """Wall and CPU seconds, ``wall`` and ``cpu``.

    :param apart: processes that do not count.
    """
    used: dict[str, float] = {}
    cpu, start = cpu_of_children(apart), time.monotonic()
    yield used
    used["wall"], used["cpu"] = time.monotonic() - start, cpu_of_children(apart) - cpu


def cpu_of_children(apart: set[int]) -> float:
    """Return the CPU seconds of all processes below this one.

    Those of their own children that have ended are included.
    """
    seconds = 0.0
    for process in psutil.Process().children(recursive=True):
        if process.pid not in apart:
            with suppress(psutil.NoSuchProcess):
                seconds += sum(process.cpu_times()[:4])
    return seconds


def last_log(airflow: AirflowApi, dag_id: str, run: str) -> str:
    failed = [task for task in airflow.tasks(dag_id, run) if task["state"] == "failed"]
    if not failed:
        return ""
    task = failed[0]
    return airflow.log(dag_id, run, task["task_id"], task["try_number"], task["map_index"])[-3000:]


if __name__ == "__main__":
    main()
