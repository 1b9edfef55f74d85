"""Waiting in a real triggerer, with a connection from Airflow's database.

More tasks than one call asks for: ``DEFERRED=120 pytest tests/e2e/test_deferral.py -k many``.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from scripts.rig import AT_ONCE, AirflowApi, running_airflow, session_of, wait_for
from tests.conftest import SECRETS, Service, draw
from tests.e2e.conftest import MakeEnv, assert_green, make_pairs, prepare, replacements

pytestmark = pytest.mark.timeout(900)

DAG_ID = "deferrable"
PROCESSING = 45.0
DEFERRED = int(os.environ.get("DEFERRED", "30"))


def states(airflow: AirflowApi, run: str) -> Counter[str]:
    return Counter(
        task["state"] for task in airflow.tasks(DAG_ID, run) if task["task_id"] == "replace"
    )


def tries(airflow: AirflowApi, run: str) -> Counter[int]:
    return Counter(
        task["try_number"] for task in airflow.tasks(DAG_ID, run) if task["task_id"] == "replace"
    )


def triggerers(home: Path) -> list[int]:
    """The processes of this Airflow's triggerer."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            ours = f"AIRFLOW_HOME={home}".encode() in (process / "environ").read_bytes().split(
                b"\0"
            )
            if ours and b"triggerer" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found


def connections_to(service: Service) -> int:
    """How many established connections lead to the service."""
    port = f":{urlsplit(service.url).port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[2].endswith(port) and row[3] == "01" for row in rows)


def test_many_deferred_replacements_survive_the_death_of_the_triggerer(
    airflow: AirflowApi,
    airflow_settings: dict[str, str],
    remote: Service,
    uploads: Path,
    processes: ExitStack,
) -> None:
    pairs = make_pairs(remote, uploads, DEFERRED)
    remote.set(processing_seconds=PROCESSING)
    run = airflow.trigger(DAG_ID, runs=pairs, poll_interval=5.0)
    half = DEFERRED // 2
    wait_for("many deferred", lambda: states(airflow, run)["deferred"] >= half, 200, every=1.0)
    home = Path(airflow_settings["AIRFLOW_HOME"])
    for pid in triggerers(home):
        os.kill(pid, signal.SIGKILL)
    processes.enter_context(
        session_of(["airflow", "triggerer"], airflow_settings, home / "triggerer.log", ends=AT_ONCE)
    )
    assert_green(airflow, DAG_ID, run, seconds=500)

    accepted = replacements(remote)
    assert sorted(entry["doc_id"] for entry in accepted) == sorted(pair["doc_id"] for pair in pairs)
    # At best: one look by each worker, and 50 tickets a call while any of them waits.
    waiting = accepted[-1]["at"] + PROCESSING - accepted[0]["at"]
    assert remote.calls()["upload.checkTickets"] <= 2 * (len(pairs) + 2 * waiting / 5.0)
    assert {ticket["checks_after_end"] for ticket in remote.tickets()} == {0}


def test_one_sensor_waits_for_the_tickets_of_all(
    airflow: AirflowApi, remote: Service, uploads: Path
) -> None:
    unchanged = draw(uploads / "unchanged.jpg", "#111111")
    (doc_id,) = remote.add_documents([unchanged])
    pairs = make_pairs(remote, uploads, 3)
    remote.set(processing_seconds=5.0)
    run = airflow.trigger("tickets", runs=[{"doc_id": doc_id, "file": str(unchanged)}, *pairs])
    assert_green(airflow, "tickets", run)
    replaced = {entry["ticket"]: entry["doc_id"] for entry in replacements(remote)}
    assert sorted(replaced.values()) == sorted(pair["doc_id"] for pair in pairs)
    assert airflow.xcom("tickets", run, "all_processed") == replaced
    assert airflow.xcom("tickets", run, "replace", map_index=0)["outcome"] == "unchanged"


def test_a_sensor_links_to_the_document_while_it_waits_and_to_a_new_one_when_it_fails(
    airflow: AirflowApi, remote: Service, uploads: Path
) -> None:
    (pair,) = make_pairs(remote, uploads, 1)
    remote.set(processing_seconds=20.0, replace_mode="new_document")
    run = airflow.trigger("awaited", document=pair["doc_id"], file=pair["file"])

    def links() -> dict[str, str | None]:
        path = f"/dags/awaited/dagRuns/{run}/taskInstances/processed/links"
        return dict(airflow.get(path)["extra_links"])

    def is_deferred() -> bool:
        (sensor,) = (t for t in airflow.tasks("awaited", run) if t["task_id"] == "processed")
        return bool(sensor["state"] == "deferred")

    page = f"{remote.url}/doc/1234/"
    wait_for("the deferred sensor", is_deferred, 60)
    wait_for("its link", lambda: links()["Document"] == f"{page}{pair['doc_id']}", 10)
    assert airflow.wait_for_run("awaited", run) == "failed"
    (accepted,) = replacements(remote)
    assert links() == {
        "Document": f"{page}{pair['doc_id']}",
        "New document": f"{page}{accepted['new_doc_id']}",
    }


def test_a_permanent_error_while_waiting_is_told_in_the_log_of_each_task(
    airflow: AirflowApi, remote: Service, uploads: Path
) -> None:
    pairs = make_pairs(remote, uploads, 6)
    remote.set(processing_seconds=600)
    run = airflow.trigger(DAG_ID, runs=pairs, poll_interval=1.0)
    wait_for("all deferred", lambda: states(airflow, run) == {"deferred": 6}, 60)
    remote.fail("code:107", "upload.checkTickets", times=9)
    assert airflow.wait_for_run(DAG_ID, run) == "failed"
    assert tries(airflow, run) == {1: 6}
    for map_index in range(6):
        log = airflow.log(DAG_ID, run, "replace", map_index=map_index)
        assert "Waiting for 1 ticket." in log
        assert '"exc_type": "PermanentError"' in log
        assert "upload.checkTickets: Token invalid (code 107). It is wrong or was revoked." in log
        assert not any(secret in log for secret in SECRETS)


def test_clearing_and_failing_deferred_tasks_leaves_nothing_behind(
    airflow: AirflowApi, remote: Service, uploads: Path
) -> None:
    pairs = make_pairs(remote, uploads, 3)
    remote.set(processing_seconds=600)
    run = airflow.trigger(DAG_ID, runs=pairs, poll_interval=0.5)
    wait_for("all deferred", lambda: states(airflow, run) == {"deferred": 3}, 60)
    wait_for("a connection of the triggerer", lambda: connections_to(remote), 20)
    airflow.clear(DAG_ID, run, "replace")
    wait_for(
        "all deferred once more",
        lambda: tries(airflow, run) == {2: 3} and states(airflow, run) == {"deferred": 3},
        90,
    )
    assert len(replacements(remote)) == 3
    airflow.send("PATCH", f"/dags/{DAG_ID}/dagRuns/{run}", {"state": "failed"})

    def quiet() -> bool:
        """Nobody asks any more: a look is due every half second."""
        calls = remote.calls()["upload.checkTickets"]
        time.sleep(3)
        return remote.calls()["upload.checkTickets"] == calls and not connections_to(remote)

    wait_for("the triggerer to ask no more and to close its connections", quiet, 40)


def test_short_deferrals_are_sent_once_at_airflows_default_settings(
    make_env: MakeEnv, remote: Service, uploads: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Airflow 3.3.2's LocalExecutor loses some short deferrals and tries their tasks again."""
    env = make_env(DAG_ID, AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL="5")
    with running_airflow(env) as airflow:
        prepare(airflow, remote, DAG_ID)
        pairs = make_pairs(remote, uploads, 16)
        remote.set(processing_seconds=2)
        run = airflow.trigger(DAG_ID, runs=pairs, poll_interval=2.0)
        assert airflow.wait_for_run(DAG_ID, run, seconds=400) == "success"
        seen = tries(airflow, run)
    assert sorted(entry["doc_id"] for entry in replacements(remote)) == sorted(
        pair["doc_id"] for pair in pairs
    )
    with capsys.disabled():
        print(
            f"\n{len(pairs)} short deferrals, as many accepted uploads; tasks by number of tries: "
            f"{dict(sorted(seen.items()))}"
        )
