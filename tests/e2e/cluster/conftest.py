"""One cluster for this folder: Redis, PostgreSQL, Airflow with Celery, the sandbox, S3."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import requests

from scripts.rig import connection_json, free_port, migrate, session_of, wait_for
from tests.conftest import Service
from tests.e2e.cluster.jobs import RESEND_GRACE, Lab
from tests.e2e.cluster.machines import (
    CENTRAL,
    MACHINES,
    TRIGGERERS,
    WORKERS,
    Cluster,
)
from tests.e2e.cluster.network import Network, network_of
from tests.e2e.cluster.postgres import new_database, postgres_programs
from tests.object_storage import Bucket, running_storage

DAGS = ("waits_in_worker", "waits_in_triggerer", "batch", "batch_in_triggerer")


@pytest.fixture(scope="package", autouse=True)
def programs() -> None:
    """Before all else, for without them no cluster need be started."""
    missing = [] if shutil.which("redis-server") else ["redis-server"]
    missing += [] if postgres_programs() else ["postgresql"]
    if missing:
        sentence = (
            f"no cluster without {' and '.join(missing)}: apt-get install {' '.join(missing)}"
        )
        if os.environ.get("IPERNITY_CELERY_TESTS") == "required":
            pytest.fail(sentence, pytrace=False)
        pytest.skip(sentence)


@pytest.fixture(scope="package")
def network(programs: None) -> Iterator[Network]:
    with network_of(MACHINES) as network:
        yield network


@pytest.fixture(scope="package")
def cluster_service(
    network: Network, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A sandbox that all machines reach."""
    service = Service(f"http://{network.address}:{free_port()}")
    port = service.url.rpartition(":")[2]
    command = [sys.executable, "-m", "ipernity_provider.sandbox", "--host", network.address]
    log = tmp_path_factory.mktemp("sandbox") / "sandbox.log"

    def answers() -> bool:
        with suppress(requests.ConnectionError):
            return requests.get(f"{service.url}/_sandbox/settings", timeout=5).ok
        return False

    with session_of([*command, "--port", port], os.environ, log):
        wait_for("the sandbox", answers, 30, every=0.1)
        yield service


@pytest.fixture(scope="package")
def lab(
    network: Network,
    cluster_service: Service,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("cluster")
    with ExitStack() as stack:
        database = Path(stack.enter_context(new_database()))
        cluster = Cluster(folder, database, network)
        stack.callback(cluster.close)
        storage = stack.enter_context(running_storage(folder, network.address))
        bucket = Bucket(storage, "media")
        storage.client().create_bucket(Bucket=bucket.name)
        start(cluster, folder)
        cluster.api.store_connection(
            "ipernity_impatient",
            connection_json(cluster_service.url, resend_grace=RESEND_GRACE),
        )
        cluster.api.store_connection("media", storage.connection())
        lab = Lab(cluster, cluster_service, bucket, folder)
        yield lab
        capture = request.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():
            lab.show_table()


@pytest.fixture(autouse=True)
def steady(lab: Lab) -> None:
    """Before each test all programs run, and both workers take tasks."""
    # Not reset: a failed test's leftovers would find documents of the same numbers.
    lab.service.set(processing_seconds=1.0, receive_bytes_per_second=None, faults=[])
    lab.cluster.restart_what_ended()
    lab.cluster.wait_for_redis()
    lab.cluster.wait_for_api()
    lab.cluster.restart_silent_workers()
    lab.cluster.all_workers()


def start(cluster: Cluster, folder: Path) -> None:
    cluster.start("redis", "postgres")
    cluster.wait_for_postgres()
    migrate(cluster.airflow_env(folder / "migration"))
    cluster.start("api-server", *CENTRAL, *TRIGGERERS, *WORKERS)
    cluster.wait_for_redis()
    cluster.api.wait_until_healthy()
    cluster.api.wait_for_dags(*DAGS)
    cluster.wait_for_workers()
