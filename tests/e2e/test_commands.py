"""The commands of the Makefile, and the package as users install it."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from ipernity_provider.sandbox import running_sandbox
from scripts.demo import problem_of
from scripts.rig import ROOT, airflow_env, connection_json, migrate, wait_for
from tests.conftest import BOAT, Service, draw
from tests.e2e.conftest import env_below, running_below

pytestmark = pytest.mark.timeout(900)

DEMO = [sys.executable, "-m", "scripts.demo"]


def test_the_demo_replaces_the_file_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = subprocess.run(DEMO, cwd=ROOT, env=env_below(tmp_path), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *story, last = done.stdout.strip().splitlines()
    result = json.loads(last)
    assert (result["outcome"], result["doc_id"], result["proof"]) == ("replaced", "5412", "md5")
    assert any(f"md5 {result['md5']}" in line for line in story)
    assert running_below(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("state", "tries", "problem"),
    [
        ("success", 1, ""),
        ("success", 2, "The task 'replace' needed 2 tries."),
        ("failed", 1, "The DAG run is not green: failed."),
    ],
)
def test_the_demo_is_no_success_through_a_retry(state: str, tries: int, problem: str) -> None:
    assert (
        problem_of({"state": state, "tasks": {"replace": {"state": state, "tries": tries}}})
        == problem
    )


def test_the_demo_stops_what_it_has_started_on_ctrl_c(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        DEMO, cwd=ROOT, env=env_below(tmp_path), stdout=subprocess.PIPE, text=True
    )
    assert demo.stdout is not None
    while not demo.stdout.readline().startswith("Airflow runs the DAG"):
        assert demo.poll() is None
    wait_for(
        "the DAG's process",
        lambda: any("scripts.run_dag" in process for process in running_below(tmp_path)),
        20,
    )
    time.sleep(1.0)
    demo.send_signal(signal.SIGINT)
    assert demo.wait(timeout=30) == 130
    assert demo.stdout.read().strip() == "Interrupted; everything that was started is stopped."
    assert running_below(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_airflow_dags_test_runs_deferrable_tasks(tmp_path: Path) -> None:
    picture = draw(tmp_path / "boat.jpg", "#123456")
    with running_sandbox() as sandbox:
        env = airflow_env(
            tmp_path / "airflow", AIRFLOW_CONN_IPERNITY_DEFAULT=connection_json(sandbox)
        )
        migrate(env)
        conf = json.dumps({"document": BOAT, "file": str(picture)})
        command = ["airflow", "dags", "test", "ipernity_replace_file", "--conf", conf]
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        assert len(Service(sandbox).ledger()) == 1
    with closing(sqlite3.connect(tmp_path / "airflow" / "airflow.db")) as database:
        tasks = database.execute("SELECT task_id, state, try_number FROM task_instance").fetchall()
    assert tasks == [("replace", "success", 1)]
    assert "Waiting for 1 ticket." in done.stdout + done.stderr


def test_a_wheel_holds_all_that_users_need(tmp_path: Path) -> None:
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("airflow_provider_ipernity-*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
        (entry_points,) = [name for name in names if name.endswith("entry_points.txt")]
        assert b"ipernity_provider.get_provider_info:get_provider_info" in packed.read(entry_points)
    sources = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "ipernity_provider").rglob("*")
        if file.is_file()
    }
    assert {name for name in sources if "__pycache__" not in name} <= names
    assert not any(name.startswith(("tests", "scripts", "dags_examples")) for name in names)
