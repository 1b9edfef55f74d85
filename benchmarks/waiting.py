"""Waiting for N tickets in one process: status calls, CPU, detection lag, memory.

Three ways to wait, each in a process of its own, against the same sandbox:

- ``coalesced``: N TicketTriggers of one ticket each, as a triggerer runs them for mapped tasks;
- ``one sensor``: one TicketTrigger with all of them, as a deferred TicketSensor;
- ``one call a ticket``: the same client, a loop for each ticket, calls in 32 threads;
- ``http sensor's pattern``: a loop for each ticket with an aiohttp session for each poll, as the
  deferrable sensor of Airflow's http provider does it, signed by the same code.

The poll interval is 5 s unless the environment's BENCH_POLL_SECONDS says otherwise (the operator's
default is 30 s). The tickets become ready one after the other over a minute; lag is from then until
the waiter knows.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from benchmarks.measure import Usage, table
from ipernity_provider.api.models import Ticket
from ipernity_provider.sandbox import running_sandbox
from scripts.rig import SANDBOX_ACCOUNT, connection_json

POLL_SECONDS = float(os.environ.get("BENCH_POLL_SECONDS", "5"))
SPREAD = (5.0, 65.0)
CONN_ID = "bench"

Seen = Callable[[str], None]


async def coalesced(tickets: list[str], seen: Seen, sandbox: str) -> None:
    await asyncio.gather(*(_fire([ticket], seen, sandbox) for ticket in tickets))


async def one_sensor(tickets: list[str], seen: Seen, sandbox: str) -> None:
    from ipernity_provider.triggers.poller import Subscription

    note = Subscription.note

    def noted(subscription: Subscription, ticket: Ticket, next_check: float) -> None:
        note(subscription, ticket, next_check)
        if not ticket.pending:
            seen(ticket.id)

    Subscription.note = noted  # type: ignore[method-assign, assignment]
    try:
        await _fire(tickets, seen, sandbox)
    finally:
        Subscription.note = note  # type: ignore[method-assign]


async def _fire(tickets: list[str], seen: Seen, sandbox: str) -> None:
    from ipernity_provider.triggers.ipernity import TicketTrigger

    os.environ[f"AIRFLOW_CONN_{CONN_ID.upper()}"] = connection_json(sandbox)
    trigger = TicketTrigger(
        tickets=dict.fromkeys(tickets),
        ipernity_conn_id=CONN_ID,
        poll_interval=POLL_SECONDS,
        deadline=time.time() + 600,
    )
    async for event in trigger.run():
        assert event.payload["status"] == "settled", event
    for ticket in tickets:
        seen(ticket)


async def one_call_a_ticket(tickets: list[str], seen: Seen, sandbox: str) -> None:
    from ipernity_provider.api.client import IpernityClient

    loop = asyncio.get_running_loop()
    with (
        IpernityClient(**SANDBOX_ACCOUNT, base_url=sandbox, attempts=1) as client,
        ThreadPoolExecutor(32) as threads,
    ):

        async def wait(ticket: str) -> None:
            while True:
                await asyncio.sleep(POLL_SECONDS)
                (state,) = await loop.run_in_executor(threads, client.check_tickets, [ticket])
                if not state.pending:
                    return seen(ticket)

        await asyncio.gather(*map(wait, tickets))


async def http_sensors_pattern(tickets: list[str], seen: Seen, sandbox: str) -> None:
    import aiohttp

    from ipernity_provider.api.signing import ApiSignature

    account = SANDBOX_ACCOUNT
    signature = ApiSignature(account["api_key"], account["api_secret"], account["token"])
    url = f"{sandbox}/api/upload.checkTickets/json"

    async def wait(ticket: str) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            call = signature.sign(
                "POST", url, "upload.checkTickets", {"tickets": ticket, "lg": "en"}
            )
            async with (
                aiohttp.ClientSession() as session,
                session.post(url, data=call.fields) as answer,
            ):
                reply = json.loads(await answer.text())
            if reply["tickets"]["ticket"][0]["done"] == "1":
                return seen(ticket)

    await asyncio.gather(*map(wait, tickets))


WAYS: dict[str, Callable[[list[str], Seen, str], Awaitable[None]]] = {
    "coalesced": coalesced,
    "one sensor": one_sensor,
    "one call a ticket": one_call_a_ticket,
    "http sensor's pattern": http_sensors_pattern,
}


def make_tickets(sandbox: str, count: int, ready_in: tuple[float, float]) -> list[str]:
    answer = requests.post(
        f"{sandbox}/_sandbox/tickets", json={"count": count, "ready_in": ready_in}, timeout=60
    )
    return list(answer.json()["tickets"])


def measure(way: str, count: int, sandbox: str) -> dict[str, float]:
    """Wait in this way, in this process."""
    in_calls = _time_the_calls()
    asyncio.run(_to_end(WAYS[way], make_tickets(sandbox, 1, (0, 0)), sandbox))
    in_calls.clear()
    calls_before = calls(sandbox)
    before = Usage.baseline()
    made = time.monotonic()
    tickets = make_tickets(sandbox, count, SPREAD)
    made = (made + time.monotonic()) / 2
    known = asyncio.run(_to_end(WAYS[way], tickets, sandbox))
    after = Usage.now()
    step = (SPREAD[1] - SPREAD[0]) / max(1, count - 1)
    lags = sorted(known[ticket] - (made + SPREAD[0] + n * step) for n, ticket in enumerate(tickets))
    return {
        "calls": calls(sandbox) - calls_before,
        "cpu": after.cpu - before.cpu,
        "cpu_in_calls": sum(in_calls),
        "lag_median": statistics.median(lags),
        "lag_p99": lags[min(len(lags) - 1, int(len(lags) * 0.99))],
        "memory": after.peak - before.resident,
        "wall": max(known.values()) - made,
    }


def _time_the_calls() -> list[float]:
    """Collects the CPU seconds of each status call of our client."""
    from ipernity_provider.api.client import IpernityClient

    seconds: list[float] = []
    original = IpernityClient.check_tickets

    def timed(client: IpernityClient, tickets: Iterable[str]) -> list[Ticket]:
        started = time.thread_time()
        try:
            return original(client, tickets)
        finally:
            seconds.append(time.thread_time() - started)

    IpernityClient.check_tickets = timed  # type: ignore[method-assign, assignment]
    return seconds


def stall(count: int, sandbox: str) -> dict[str, float]:
    """Return the longest time for which the event loop was blocked.

    The service answers each call after 2 s meanwhile.
    """
    asyncio.run(_to_end(coalesced, make_tickets(sandbox, 1, (0, 0)), sandbox))
    fault = {"method": "upload.checkTickets", "times": 10 * count, "kind": "slow:2"}
    requests.put(f"{sandbox}/_sandbox/settings", json={"faults": [fault]}, timeout=30)
    tickets = make_tickets(sandbox, count, (0, 0))
    longest = 0.0

    async def beat() -> None:
        nonlocal longest
        await asyncio.sleep(1.0)  # the start of so many triggers at once is another matter
        while True:
            started = time.perf_counter()
            await asyncio.sleep(0.005)
            longest = max(longest, time.perf_counter() - started - 0.005)

    async def together() -> None:
        heart = asyncio.create_task(beat())
        await coalesced(tickets, lambda _: None, sandbox)
        heart.cancel()

    asyncio.run(together())
    return {"stall": longest}


async def _to_end(
    way: Callable[..., Awaitable[None]], tickets: list[str], sandbox: str
) -> dict[str, float]:
    known: dict[str, float] = {}
    await way(tickets, lambda ticket: known.setdefault(ticket, time.monotonic()), sandbox)
    return known


def calls(sandbox: str) -> int:
    return int(
        requests.get(f"{sandbox}/_sandbox/calls", timeout=30).json().get("upload.checkTickets", 0)
    )


def in_a_process(what: str, count: int) -> dict[str, float]:
    with running_sandbox() as sandbox:
        command = [sys.executable, "-m", "benchmarks.waiting", "--child", what, str(count), sandbox]
        # The triggers' lines for their tasks' logs are Airflow's matter: three a ticket, at 0.2 ms
        # each.
        env = {**os.environ, "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main(counts: list[int]) -> None:
    print(
        f"Waiting for N tickets that become ready over {SPREAD[1] - SPREAD[0]:.0f} s, poll interval"
        f" {POLL_SECONDS:.0f} s; ratios are to the coalesced run above them."
    )
    columns = [
        "N, way",
        "calls",
        "ratio",
        "CPU s",
        "ratio",
        "in calls",
        "lag median s",
        "lag p99 s",
        "memory MiB",
        "took s",
    ]
    rows = []
    for count in counts:
        base: dict[str, float] = {}
        for way in WAYS:
            got = in_a_process(way, count)
            base = base or got
            rows.append(
                [
                    f"{count:,} {way}",
                    f"{got['calls']:,.0f}",
                    f"{got['calls'] / base['calls']:.1f}",
                    f"{got['cpu']:.2f}",
                    f"{got['cpu'] / base['cpu']:.1f}",
                    f"{got['cpu_in_calls']:.2f}" if got["cpu_in_calls"] else "-",
                    f"{got['lag_median']:.2f}",
                    f"{got['lag_p99']:.2f}",
                    f"{got['memory']:.0f}",
                    f"{got['wall']:.0f}",
                ]
            )
            print(f"  measured: {rows[-1][0]}", file=sys.stderr, flush=True)
    print(table(columns, rows))
    held = in_a_process("stall", 1000)["stall"]
    print(
        "1,000 coalesced while each status call takes 2 s: the event loop was held up for"
        f" {held * 1000:.0f} ms at most."
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("counts", nargs="*", type=int, default=[50, 1_000, 10_000])
    parser.add_argument("--child", nargs=3, metavar=("WAY", "N", "SANDBOX"), help=argparse.SUPPRESS)
    options: Any = parser.parse_args()
    if options.child:
        what, n, address = options.child
        print(
            json.dumps(
                stall(int(n), address) if what == "stall" else measure(what, int(n), address)
            )
        )
    else:
        main(options.counts)
