"""What is measured arrives at an OpenTelemetry receiver, sent by Airflow's own statistics."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from scripts.rig import ROOT, AirflowApi, running_airflow, wait_for
from tests.conftest import BOAT, Service, draw
from tests.e2e.conftest import MakeEnv, assert_green
from tests.otlp import Otlp

pytestmark = pytest.mark.timeout(600)

PREFIX = "airflow.ipernity."
KINDS = {
    "Counters": ("sum", ""),
    "Timers": ("exponential_histogram", "ms"),
    "Gauges": ("gauge", ""),
}


@pytest.fixture(scope="module")
def otlp() -> Iterator[Otlp]:
    with closing(Otlp()) as receiver:
        yield receiver


@pytest.fixture(scope="module")
def measured(make_env: MakeEnv, otlp: Otlp) -> Iterator[AirflowApi]:
    """An Airflow that sends its metrics to the receiver, set as the page about metrics says."""
    settings = {
        "AIRFLOW__METRICS__OTEL_ON": "True",
        "AIRFLOW__METRICS__METRICS_ALLOW_LIST": "^ipernity",
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp.url,
        "OTEL_METRIC_EXPORT_INTERVAL": "500",
    }
    with running_airflow(make_env("changes", **settings)) as airflow:
        airflow.wait_for_dags("changes")
        yield airflow


def documented() -> dict[str, tuple[str, str]]:
    """Return each documented name -> its kind and unit; one that ends in a dot begins several."""
    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    parts = re.split(r"^## (\w+)$", page, flags=re.MULTILINE)[1:]
    return {
        name: KINDS[title]
        for title, text in zip(parts[::2], parts[1::2], strict=True)
        if title in KINDS
        for name in re.findall(r"^\| `ipernity\.([a-z_.]+)", text, re.MULTILINE)
    }


def test_a_run_is_measured_by_opentelemetry_under_the_documented_names(
    measured: AirflowApi, remote: Service, uploads: Path, otlp: Otlp
) -> None:
    remote.set(processing_seconds=3.0)
    file = draw(uploads / "observed.jpg", "#31a05f")
    run = measured.trigger("changes", file=str(file))
    assert_green(measured, "changes", run)
    assert measured.xcom("changes", run, "replace", "outcome") == "replaced"
    assert len(remote.ledger()) == 1
    assert remote.ledger()[0]["doc_id"] == BOAT

    # The task's two processes send at their end, the triggerer every half second.
    wait_for(
        "the last metric",
        lambda: otlp.totals()[f"{PREFIX}status_calls"] >= remote.calls()["upload.checkTickets"],
        60,
    )
    found = {
        name.removeprefix(PREFIX): value
        for name, value in otlp.totals().items()
        if name.startswith(PREFIX)
    }
    calls = remote.calls()
    assert found["uploads"] == found["upload"] == 1
    assert found["upload_bytes"] == file.stat().st_size
    assert found["outcome.replaced"] == found["proof.md5"] == 1
    assert found["status_calls"] == calls["upload.checkTickets"]
    every = sum(calls.values())
    assert found["calls"] == every - calls["upload.checkTickets"]
    assert found["call"] == every - 1  # the upload has a timer of its own
    assert found["poller.lag"] >= 1
    assert "poller.backlog" in found

    names = documented()
    for name, kind in otlp.kinds().items():
        if name.startswith(PREFIX):
            short = name.removeprefix(PREFIX)
            family = f"{short.partition('.')[0]}."
            assert names.get(short, names.get(family)) == kind, name
