"""Workers that are lost in the middle of replacements: whatever dies, each file is sent once.

What a worker's death interrupts is in the order of the numbers of tries below: an upload whose file
was accepted, the waiting for its ticket, an upload, a batch.
"""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.e2e.cluster.jobs import Job, Lab

pytestmark = [pytest.mark.celery, pytest.mark.timeout(600)]


def start_on_both(lab: Lab) -> tuple[list[Job], list[Job]]:
    """Start replacements on each worker, and return once each is at its moment."""
    jobs = []
    for worker in ("worker1", "worker2"):
        lab.cluster.only_worker(worker)
        jobs.append(lab.start_at_each_moment())
    first, second = lab.start_batches("worker1", "worker2")
    return [*jobs[0], first], [*jobs[1], second]


def test_a_lost_machine_and_a_lost_main_process(lab: Lab) -> None:
    first, second = start_on_both(lab)
    at = time.monotonic()
    lab.cluster.kill("worker1")
    # Its tasks live on without it, beside the tries that take their places.
    lab.cluster.signal("worker2", signal.SIGKILL)
    lab.cluster.start("worker1", "worker2")
    lab.assert_done("machine lost", first, at, 2, 2, 2, 2)
    lab.assert_done("main process lost", second, at, 2, 2, 2, 2)


def test_a_rolling_update(lab: Lab) -> None:
    first, second = start_on_both(lab)
    at = time.monotonic()
    lab.cluster.signal("worker1", signal.SIGTERM)
    lab.cluster.signal("worker2", signal.SIGQUIT)
    lab.cluster.start("worker1", "worker2")
    lab.assert_done("SIGTERM", first, at, 1, 1, 1, 1)
    # An upload is aborted and tried again, unless its last block has left by then; so is a batch.
    # What only waits is waited for.
    lab.assert_done("SIGQUIT", second, at, 1, 1, range(1, 3), 2)


def test_a_killed_task(lab: Lab) -> None:
    jobs = [*lab.start_at_each_moment(lasting=35), *lab.start_batches("worker1")]
    at = time.monotonic()
    for job in jobs:
        os.kill(lab.task(job)["pid"], signal.SIGKILL)
    lab.assert_done("task killed", jobs, at, 2, 2, 2, 2)


def test_a_partition(lab: Lab) -> None:
    if not lab.cluster.network.namespaces:
        pytest.skip("no network namespaces here: no machine can be cut off")
    lab.cluster.only_worker("worker1")
    jobs = [*lab.start_at_each_moment(lasting=35), *lab.start_batches("worker1")]
    at = time.monotonic()
    lab.cluster.network.cut("w1")
    try:
        lab.cluster.all_workers()
        lab.assert_done("network cut", jobs, at, 2, 2, 2, 2)
    finally:
        lab.cluster.network.mend("w1")
        lab.cluster.all_workers()
