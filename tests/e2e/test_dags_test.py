"""`airflow dags test` and `dag.test()`: no scheduler, no triggerer; only the event is kept."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import pytest

from scripts.rig import migrate, session_of, wait_for
from tests.conftest import SECRETS, Service, draw
from tests.e2e.conftest import MakeEnv, make_pairs, replacements

pytestmark = pytest.mark.timeout(600)

WANTED = 5_000_000
DAG_TEST = (
    "import json, runpy, sys; "
    "runpy.run_path(sys.argv[1])[sys.argv[2]].test(run_conf=json.loads(sys.argv[3]))"
)

Tasks = dict[str, list[tuple[str, int]]]


class AirflowHome:
    """An Airflow of which nothing runs: a database, and the commands of a shell."""

    def __init__(self, env: dict[str, str]) -> None:
        self._env = env
        self._home = Path(env["AIRFLOW_HOME"])
        self._log = self._home / "dags-test.log"

    def start(self, *command: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
        self._log.unlink(missing_ok=True)
        return session_of(list(command), self._env, self._log)

    def dags_test(self, dag_id: str, **conf: Any) -> Tasks:
        with self.start(*self.command(dag_id, conf)) as run:
            return self.ended(dag_id, run)

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def command(self, dag_id: str, conf: dict[str, Any]) -> list[str]:
        return ["airflow", "dags", "test", dag_id, "--conf", json.dumps(conf)]

    def python(self, dag_id: str, conf: dict[str, Any]) -> list[str]:
        file = self._home / "dags" / f"{dag_id}.py"
        return [sys.executable, "-c", DAG_TEST, str(file), "dag", json.dumps(conf)]

    def ended(self, dag_id: str, run: subprocess.Popen[bytes]) -> Tasks:
        """Task -> the state and the tries of each of its instances, once the run has ended."""
        run.wait(timeout=300)
        output = self.output
        assert [
            line for line in output.splitlines() if any(secret in line for secret in SECRETS)
        ] == []
        with closing(sqlite3.connect(self._home / "airflow.db")) as database:
            rows = database.execute(
                "SELECT task_id, state, try_number FROM task_instance WHERE dag_id = ? AND run_id ="
                " (SELECT run_id FROM dag_run WHERE dag_id = ? ORDER BY id DESC LIMIT 1)"
                " ORDER BY map_index",
                (dag_id, dag_id),
            ).fetchall()
        tasks: Tasks = {}
        for task_id, state, tries in rows:
            tasks.setdefault(task_id, []).append((state, tries))
        assert tasks, output[-6000:]
        print(output)  # what pytest shows of a test that fails
        return tasks


@pytest.fixture(scope="module")
def airflow_home(make_env: MakeEnv) -> AirflowHome:
    # At DEBUG, Airflow 3.3.2 itself logs what it is to mask when it runs tasks without a scheduler.
    env = make_env() | {"AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO"}
    migrate(env)
    return AirflowHome(env)


def at_the_first_try(**instances: int) -> Tasks:
    return {task_id: [("success", 1)] * count for task_id, count in instances.items()}


@pytest.mark.parametrize("way", ["command", "python"])
def test_each_class_that_defers_is_green_at_the_first_try_and_sends_once(
    airflow_home: AirflowHome, remote: Service, uploads: Path, way: str
) -> None:
    one, later, *rows = make_pairs(remote, uploads, 5)
    remote.set(processing_seconds=3.0, quota_left_bytes=1000)
    conf = {
        "min_bytes": WANTED,
        "document": one["doc_id"],
        "file": one["file"],
        "later_document": later["doc_id"],
        "later_file": later["file"],
        "rows": rows,
    }
    with airflow_home.start(*getattr(airflow_home, way)("deferred_once", conf)) as run:
        # The first look is the sensor's own, the second one its trigger's.
        wait_for(
            "the sensor's trigger", lambda: remote.calls().get("account.getQuota", 0) >= 2, 120
        )
        remote.set(quota_left_bytes=WANTED + 10_000_000)
        # The last ticket is first looked at by a task of its own, which takes long to start.
        wait_for("all but the last", lambda: len(replacements(remote)) > len(rows), 240)
        remote.set(processing_seconds=25.0)
        tasks = airflow_home.ended("deferred_once", run)
    assert tasks == at_the_first_try(volume=1, one=1, many=1, sent=1, tickets=1)
    sent_for = sorted(entry["doc_id"] for entry in replacements(remote))
    assert sent_for == sorted(pair["doc_id"] for pair in (one, later, *rows))
    # Each was still pending when it was first looked at: every class has deferred.
    asked = {ticket["ticket"]: ticket["checks"] for ticket in remote.tickets()}
    assert min(asked[entry["ticket"]] for entry in replacements(remote)) >= 2


@pytest.mark.parametrize("rehearse", [False, True])
def test_a_flag_may_come_from_a_template_a_mapped_task_or_another_task(
    airflow_home: AirflowHome, remote: Service, uploads: Path, rehearse: bool
) -> None:
    pairs = make_pairs(remote, uploads, 3)
    tasks = airflow_home.dags_test("templated_flags", pairs=pairs, rehearse=rehearse)
    assert tasks == at_the_first_try(rehearse=1, mapped_pairs=1, mapped=2, by_xcom=1)
    sent_for = sorted(entry["doc_id"] for entry in replacements(remote))
    assert sent_for == ([] if rehearse else sorted(pair["doc_id"] for pair in pairs))


def test_the_execution_timeout_ends_a_deferred_task(
    airflow_home: AirflowHome, remote: Service, uploads: Path
) -> None:
    (pair,) = make_pairs(remote, uploads, 1)
    remote.set(processing_seconds=3600.0)
    assert airflow_home.dags_test("execution_timeout", **pair) == {"replace": [("failed", 1)]}
    assert "was not finished within the execution_timeout of 15 s" in airflow_home.output
    assert len(replacements(remote)) == 1


def test_the_next_run_finds_the_successors_that_airflow_remembers(
    airflow_home: AirflowHome, remote: Service, uploads: Path
) -> None:
    """One document, deferred, and many: two runs, each with new files for the same numbers."""
    remote.set(replace_mode="new_document", processing_seconds=0.5)
    one, *rows = pairs = make_pairs(remote, uploads, 3)
    doc_ids = [pair["doc_id"] for pair in pairs]
    for shade in ("10", "20"):
        for number, pair in enumerate(pairs):
            draw(Path(pair["file"]), f"#{shade}00{number:02x}")
        tasks = airflow_home.dags_test(
            "transferring", document=one["doc_id"], file=one["file"], rows=rows
        )
        assert tasks == at_the_first_try(one=1, many=1)
    sent = replacements(remote)
    assert sorted(entry["doc_id"] for entry in sent[:3]) == sorted(doc_ids)
    successors = sorted(str(entry["new_doc_id"]) for entry in sent[:3])
    assert sorted(entry["doc_id"] for entry in sent[3:]) == successors
