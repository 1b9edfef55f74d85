"""Asset events in a real scheduler: a DAG runs after a document only if it has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from scripts.rig import AirflowApi, running_airflow, wait_for
from tests.conftest import BOAT, Service, draw
from tests.e2e.conftest import MakeEnv, assert_green, make_pairs, replacements
from tests.statsd import StatsD

pytestmark = pytest.mark.timeout(900)

DOCUMENT = f"ipernity://www.ipernity.com/doc/{BOAT}"
DAGS = ("changes", "changes_many", "heard_document", "heard_any", "heard_gallery")
CHAIN = ("ipernity_chart_replace", "ipernity_chart_notify")


@pytest.fixture(scope="module")
def statsd() -> Iterator[StatsD]:
    with closing(StatsD()) as server:
        yield server


@pytest.fixture(scope="module")
def scheduler(make_env: MakeEnv, uploads: Path, statsd: StatsD) -> Iterator[AirflowApi]:
    """An Airflow that starts runs by itself, which that of the other tests does not.

    It sends its metrics to a StatsD server.
    """
    settings = {
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "True",
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
        "AIRFLOW__METRICS__STATSD_PORT": str(statsd.port),
        "AIRFLOW__METRICS__METRICS_ALLOW_LIST": "^ipernity",
        "IPERNITY_FOLDER": str(uploads),
    }
    with running_airflow(make_env("changes", "ipernity_chart", **settings)) as airflow:
        airflow.wait_for_dags(*DAGS, *CHAIN)
        for dag_id in CHAIN:
            airflow.send("PATCH", f"/dags/{dag_id}", {"is_paused": False})
        yield airflow


def runs_of(airflow: AirflowApi, dag_id: str) -> list[str]:
    found = airflow.get(f"/dags/{dag_id}/dagRuns", order_by="id", limit=100)["dag_runs"]
    return [run["dag_run_id"] for run in found]


def heard(airflow: AirflowApi, dag_id: str, count: int, task_id: str = "hear") -> list[Any]:
    """Wait until a DAG has had so many runs, all green at the first try; return what they heard."""
    wait_for(f"{count} runs of {dag_id}", lambda: len(runs_of(airflow, dag_id)) >= count, 120)
    runs = runs_of(airflow, dag_id)
    assert len(runs) == count
    for run in runs:
        assert_green(airflow, dag_id, run)
    return [airflow.xcom(dag_id, run, task_id) for run in runs]


def events_of(airflow: AirflowApi, dag_id: str, run: str) -> list[str]:
    """Return the names of the assets of which a run has sent events.

    While a run that an event has started is queued, Airflow 3.3.2 answers with HTTP 500.
    """
    query = {"source_dag_id": dag_id, "source_run_id": run, "limit": 100}

    def answer() -> list[list[str]]:
        try:
            events = airflow.get("/assets/events", **query)["asset_events"]
        except requests.HTTPError as error:
            if error.response.status_code != 500:
                raise
            return []
        return [sorted(event["name"] for event in events)]

    (names,) = wait_for("the asset events", answer, 120)
    return list(names)


def test_only_a_changed_document_starts_what_waits_for_it(
    scheduler: AirflowApi, remote: Service, uploads: Path
) -> None:
    with remote.client() as client:
        before = client.get_document(BOAT)
    file = draw(uploads / "changes.jpg", "#10a0c0")
    changed = scheduler.trigger("changes", file=str(file))
    assert_green(scheduler, "changes", changed)
    unchanged = scheduler.trigger("changes", file=str(file))
    assert_green(scheduler, "changes", unchanged)
    assert scheduler.xcom("changes", unchanged, "replace", "outcome") == "unchanged"
    assert events_of(scheduler, "changes", changed) == ["gallery", DOCUMENT]
    assert events_of(scheduler, "changes", unchanged) == []

    extra = {
        "doc_id": BOAT,
        "url": before.link,
        "outcome": "replaced",
        "new_doc_id": None,
        "md5_before": before.md5,
        "md5_after": hashlib.md5(file.read_bytes()).hexdigest(),
        "bytes": file.stat().st_size,
        "proof": "md5",
        "ticket": remote.tickets()[0]["ticket"],
        "file": file.as_uri(),
    }
    assert heard(scheduler, "heard_document", 1) == [[{"asset": DOCUMENT, **extra}]]
    assert heard(scheduler, "heard_any", 1) == [[{"asset": DOCUMENT, **extra}]]
    assert heard(scheduler, "heard_gallery", 1) == [[{"asset": "gallery", **extra}]]

    # Another change comes through, and between the two there was no run.
    again = scheduler.trigger("changes", file=str(draw(uploads / "again.jpg", "#c0a010")))
    assert_green(scheduler, "changes", again)
    assert [len(events) for events in heard(scheduler, "heard_document", 2)] == [1, 1]


def test_a_batch_of_ten_with_three_changes_sends_three_events(
    scheduler: AirflowApi, remote: Service, uploads: Path
) -> None:
    before = len(runs_of(scheduler, "heard_any"))
    pairs = make_pairs(remote, uploads, 10)
    unchanged = uploads / "unchanged-in-batch.png"
    for pair in pairs[3:]:
        draw(unchanged, "#aabbcc")
        pair["file"] = str(unchanged)
    with remote.client() as client:
        for pair in pairs[3:]:
            client.upload_replace(pair["doc_id"], unchanged, asynchronous=False)
    sent = len(replacements(remote))
    run = scheduler.trigger("changes_many", manifest=pairs)
    assert_green(scheduler, "changes_many", run)
    assert len(replacements(remote)) == sent + 3
    changed = [str(pair["doc_id"]) for pair in pairs[:3]]
    names = [f"ipernity://www.ipernity.com/doc/{doc_id}" for doc_id in changed]
    assert events_of(scheduler, "changes_many", run) == sorted(["gallery", *names])
    told = heard(scheduler, "heard_any", before + 1)[-1]
    assert sorted(event["doc_id"] for event in told) == sorted(changed)
    assert sorted(event["file"] for event in told) == sorted(
        Path(pair["file"]).as_uri() for pair in pairs[:3]
    )


def test_the_chain_of_the_example_tells_of_a_change_and_of_nothing_else(
    scheduler: AirflowApi, remote: Service, uploads: Path
) -> None:
    def publish() -> str:
        """Say what the first DAG of the chain says once it has drawn; return the run it starts."""
        before = runs_of(scheduler, "ipernity_chart_replace")
        (chart,) = scheduler.get("/assets", name_pattern="ipernity_chart")["assets"]
        scheduler.send("POST", "/assets/events", {"asset_id": chart["id"], "extra": {}})
        wait_for(
            "the run after the chart",
            lambda: len(runs_of(scheduler, "ipernity_chart_replace")) > len(before),
            120,
        )
        (run,) = set(runs_of(scheduler, "ipernity_chart_replace")) - set(before)
        assert_green(scheduler, "ipernity_chart_replace", run)
        return run

    before = len(runs_of(scheduler, "ipernity_chart_notify"))
    draw(uploads / "chart.png", "#0f0f0f")
    publish()
    unchanged = publish()
    assert events_of(scheduler, "ipernity_chart_replace", unchanged) == []
    draw(uploads / "chart.png", "#f0f0f0")
    publish()
    told = heard(scheduler, "ipernity_chart_notify", before + 2, "tell_people")[-2:]
    md5 = hashlib.md5((uploads / "chart.png").read_bytes()).hexdigest()
    assert [len(lines) for lines in told] == [1, 1]
    assert told[-1][0].endswith(f"shows a new chart: md5 {md5}")
    assert len(replacements(remote)) == 2


def test_tasks_and_triggerer_send_their_metrics(
    scheduler: AirflowApi, remote: Service, uploads: Path, statsd: StatsD
) -> None:
    statsd.lines()
    remote.set(processing_seconds=3.0)
    run = scheduler.trigger("changes", file=str(draw(uploads / "measured.jpg", "#50a0f0")))
    assert_green(scheduler, "changes", run)
    lines = statsd.lines()
    sent = [(name, value) for name, value, _ in lines]
    # Of the task before it waits, of the triggerer, and of the task once it is resumed.
    for expected in ("uploads", "poller.backlog", "outcome.replaced", "proof.md5"):
        assert sent.count((f"ipernity.{expected}", 1.0)) >= 1, sent
    counts = [value for name, value in sent if name == "ipernity.status_calls"]
    assert sum(counts) == remote.calls()["upload.checkTickets"]
