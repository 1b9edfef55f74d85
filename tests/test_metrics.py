"""What is measured arrives at a real StatsD socket, through Airflow's own statistics."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.observability.stats import Stats

from ipernity_provider import metrics
from ipernity_provider.api.errors import RateLimited
from ipernity_provider.hooks.ipernity import IpernityHook
from ipernity_provider.hooks.metrics import measure_task
from ipernity_provider.operators.ipernity import ReplaceFileOperator, ReplaceFilesOperator
from ipernity_provider.triggers.poller import poller_of
from tests.conftest import BOAT, Connect, Service, draw
from tests.operators.test_operator import context
from tests.statsd import StatsD

pytestmark = pytest.mark.socket

PAGE = Path(__file__).parent.parent / "docs/metrics.md"


@pytest.fixture
def statsd(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> Iterator[StatsD]:
    """What Airflow sets up in each process, with a StatsD server of the test's own."""
    from airflow.observability.stats import Stats as ServerStats
    from airflow.sdk.observability.metrics.statsd_logger import get_statsd_logger

    connect(resend_grace=1.0)
    server = StatsD()
    both: tuple[Any, ...] = (Stats, ServerStats)
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_ON", "True")
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_HOST", "127.0.0.1")
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_PORT", str(server.port))
    set_up(both, get_statsd_logger)
    metrics.sink = metrics.Sink()
    yield server
    from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger

    set_up(both, NoStatsLogger)
    metrics.sink = metrics.Sink()
    server.close()


def set_up(all_stats: tuple[Any, ...], factory: Any) -> None:
    """Initialize statistics; Airflow 3.2 does not ask for old names."""
    for stats in all_stats:
        asked = inspect.signature(stats.initialize).parameters
        stats.initialize(factory=factory, **dict.fromkeys(asked.keys() - {"factory"}, True))


def counted(lines: list[tuple[str, float, str]]) -> dict[str, float]:
    total: Counter[str] = Counter()
    for name, value, kind in lines:
        if kind == "c":
            total[name.removeprefix("ipernity.")] += int(value)
    return dict(total)


def timers(lines: list[tuple[str, float, str]]) -> Counter[str]:
    return Counter(name for name, _, kind in lines if kind == "ms")


def test_one_replacement_is_counted_and_timed(
    service: Service, statsd: StatsD, picture: Path
) -> None:
    task = ReplaceFileOperator(
        task_id="replace", doc_id=BOAT, file=picture, poll_interval=0.1, timeout=20
    )
    task.execute(context())
    lines = statsd.lines()
    calls, found = service.calls(), counted(lines)
    assert found.pop("calls") == sum(calls.values()) - calls["upload.checkTickets"]
    assert found == {
        "uploads": 1,
        "upload_bytes": picture.stat().st_size,
        "status_calls": calls["upload.checkTickets"],
        "outcome.replaced": 1,
        "proof.md5": 1,
    }
    assert timers(lines) == {"ipernity.upload": 1, "ipernity.call": sum(calls.values()) - 1}

    task.execute(context())
    found = counted(statsd.lines())
    assert (found["outcome.unchanged"], found.get("uploads")) == (1, None)


def test_each_row_of_a_batch_is_counted_once(
    service: Service, statsd: StatsD, tmp_path: Path
) -> None:
    same = draw(tmp_path / "same.png", "#123456")
    doc_ids = service.add_documents([same] * 3)
    rows = [{"doc_id": doc_id, "file": str(same)} for doc_id in doc_ids]
    for number in (0, 1):
        rows[number]["file"] = str(draw(tmp_path / f"{number}.png", f"#ff000{number}"))
    task = ReplaceFilesOperator(task_id="many", manifest=rows, poll_interval=0.1, timeout=20)
    task.execute(context())
    found = counted(statsd.lines())
    assert (found["outcome.replaced"], found["proof.md5"], found["outcome.unchanged"]) == (2, 2, 1)
    assert found["uploads"] == 2


def test_a_rate_limit_and_its_wait_are_measured(service: Service, statsd: StatsD) -> None:
    service.fail("code:113", "test.echo", times=1)
    IpernityHook().call("test.echo")
    lines = statsd.lines()
    assert counted(lines)["rate_limited"] == 1
    assert timers(lines)["ipernity.rate_limit_wait"] == 1


def test_the_delay_of_a_retry_is_measured(statsd: StatsD) -> None:
    pytest.importorskip(
        "airflow.sdk.definitions.retry_policy", reason="retry policies came with Airflow 3.3"
    )
    from ipernity_provider.operators.retries import PatientRetryPolicy

    measure_task()
    error = RateLimited("Too many calls.", method="upload.replace", code=113)
    decision = PatientRetryPolicy().evaluate(error, 1, 3, None)
    ((name, waited, _),) = statsd.lines()
    assert (name, waited) == (
        "ipernity.rate_limit_wait",
        (decision.retry_delay or timedelta()).total_seconds() * 1000,
    )


def test_the_poller_says_how_many_tickets_wait_and_how_late_it_is(
    service: Service, statsd: StatsD
) -> None:
    tickets = service.make_tickets(60, (0.0, 0.1))

    async def wait() -> None:
        poller = poller_of("ipernity_default", IpernityHook().aget_conn_maker)
        async with poller.subscribe(tickets, 0.2) as subscription:
            async with asyncio.timeout(20):
                while subscription.pending:
                    await subscription.news()

    asyncio.run(wait())
    lines = statsd.lines()
    backlog = [value for _, value, kind in lines if kind == "g"]
    assert (backlog[0], backlog[-1]) == (len(tickets), 0)
    polls = len(backlog) - 1
    assert timers(lines)["ipernity.poller.lag"] == polls == counted(lines)["status_calls"]


def test_the_backlog_is_that_of_all_connections(
    service: Service, statsd: StatsD, connect: Connect
) -> None:
    tickets = service.make_tickets(10, (0.4, 0.5))
    other = connect("other")

    async def wait(conn_id: str, share: list[str]) -> None:
        poller = poller_of(conn_id, IpernityHook(conn_id).aget_conn_maker)
        async with poller.subscribe(share, 0.1) as subscription, asyncio.timeout(20):
            while subscription.pending:
                await subscription.news()

    async def both() -> None:
        await asyncio.gather(wait("ipernity_default", tickets[:4]), wait(other, tickets[4:]))
        await asyncio.sleep(0)

    asyncio.run(both())
    backlog = [value for _, value, kind in statsd.lines() if kind == "g"]
    assert max(backlog) == 10
    assert backlog[-1] == 0


def test_the_page_lists_what_is_measured_and_nothing_else() -> None:
    package = Path(metrics.__file__).parent
    pattern = re.compile(r"metrics\.sink\.\w+\((.+)\)$", re.MULTILINE)
    sources = [file.read_text(encoding="utf-8") for file in package.rglob("*.py")]
    named = {
        name
        for source in sources
        for call in pattern.findall(source)
        for name in re.findall(r'"ipernity\.((?:outcome|proof)\.|[a-z_.]+)', call)
    }
    listed = set(re.findall(r"^\| `ipernity\.([a-z_.]+)", PAGE.read_text(), re.MULTILINE))
    assert listed == named
