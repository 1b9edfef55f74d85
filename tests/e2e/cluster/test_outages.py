"""What a cluster stands on fails: the broker, the database, the execution API, the triggerers.

The numbers of tries are those of an upload whose file was accepted, the waiting for its ticket, an
upload, a batch, in this order.
"""

from __future__ import annotations

import time

import pytest

from scripts.rig import wait_for
from tests.e2e.cluster.jobs import ROWS, Lab

pytestmark = [pytest.mark.celery, pytest.mark.timeout(600)]


def test_messages_that_come_twice_and_messages_that_are_lost(lab: Lab) -> None:
    jobs = [*lab.start_at_each_moment(lasting=35), *lab.start_batches("worker1")]
    assert lab.cluster.redeliver() >= len(jobs)
    # A batch may have ended by the time that its message is taken.
    wait_for("refusals", lambda: lab.cluster.refused_redeliveries() >= len(jobs) - 1, 60)
    lab.cluster.only_worker("nobody")
    (doc_id,) = lab.make_documents(1)
    jobs.append(lab.start("while queued", doc_id))
    lab.wait_for_state(jobs[-1], "queued")
    at = time.monotonic()
    lab.cluster.kill("redis")
    lab.cluster.start("redis")
    lab.cluster.wait_for_redis()
    tries = range(1, 3) if lab.cluster.restart_silent_workers() else 1
    lab.cluster.all_workers()
    lab.assert_done("redelivery, Redis lost", jobs, at, *[tries] * 4, 1)


def test_postgresql_crashed(lab: Lab) -> None:
    jobs = [*lab.start_at_each_moment(lasting=35), *lab.start_batches("worker1")]
    at = time.monotonic()
    lab.cluster.kill("postgres")
    lab.cluster.start("postgres")
    lab.cluster.wait_for_postgres()
    lab.assert_done("PostgreSQL crashed", jobs, at, 1, 1, 1, 1)


def test_the_execution_api_down_while_the_service_answers(lab: Lab) -> None:
    jobs = [*lab.start_at_each_moment(lasting=35), *lab.start_batches("worker1")]
    at = time.monotonic()
    lab.cluster.kill("api-server")
    wait_for("the ticket", lambda: "The service accepted" in lab.logs(jobs[0]), 60)
    lab.cluster.start("api-server")
    # Airflow gives up what it has no heartbeat of, and a try that begins meanwhile is lost, too:
    # how many there are is a matter of the outage's length.
    lab.assert_done("execution API down", jobs, at, *[range(1, 6)] * 4)


def test_one_and_then_all_triggerers_lost(lab: Lab) -> None:
    # A batch waits for its first upload in the worker, and for all others in the triggerer.
    batch = lab.start_batch("deferred batch", lab.make_documents(ROWS), "batch_in_triggerer")
    wait_for("the first of the batch", lambda: lab.accepted(*batch.wanted), 60, every=0.1)
    lab.service.set(processing_seconds=45)
    jobs = [batch]
    jobs += [
        lab.start("deferred", doc_id, "waits_in_triggerer") for doc_id in lab.make_documents(4)
    ]
    for job in jobs:
        lab.wait_for_state(job, "deferred")
    wait_for("a triggerer for each", lambda: None not in lab.triggerers(jobs), 30)
    at = time.monotonic()
    lab.cluster.kill("triggerer1")
    wait_for("the other triggerer for all", lambda: len(lab.triggerers(jobs)) == 1, 60)
    lab.cluster.kill("triggerer2")
    lab.cluster.start("triggerer1", "triggerer2")
    lab.assert_done("triggerers lost", jobs, at, *[1] * len(jobs))


def test_two_tasks_on_one_document(lab: Lab) -> None:
    lab.service.set(processing_seconds=3)
    (doc_id,) = lab.make_documents(1)
    jobs = [lab.start(name, doc_id) for name in ("first", "second")]
    states = {job.wanted[doc_id]: lab.end_of(job) for job in jobs}
    assert lab.uploads_to(doc_id) == {(doc_id, md5): 1 for md5 in states}
    with lab.service.client() as client:
        carried = str(client.get_document(doc_id).md5)
    assert states.pop(carried) == "success"
    (other,) = (job for job in jobs if carried not in job.wanted.values())
    # It was proven before the other one came, or it is not.
    green = states[other.wanted[doc_id]] == "success"
    assert ("carries the new file" if green else "does not show") in lab.logs(other)
