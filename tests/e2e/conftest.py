"""One private Airflow and one sandbox for all tests of this folder: real processes, real sockets."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipernity_provider.sandbox import running_sandbox
from scripts.rig import EXAMPLES, AirflowApi, airflow_env, connection_json, running_airflow
from tests.conftest import Service


@pytest.fixture(scope="session")
def e2e_service() -> Iterator[Service]:
    with running_sandbox(settings={"processing_seconds": 0.5}) as url:
        yield Service(url)


@pytest.fixture(scope="session")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The only folder that the connection lets files be sent from."""
    return tmp_path_factory.mktemp("uploads")


@pytest.fixture(scope="session")
def airflow(
    tmp_path_factory: pytest.TempPathFactory, e2e_service: Service, uploads: Path
) -> Iterator[AirflowApi]:
    home = tmp_path_factory.mktemp("airflow")
    dags = home / "dags"
    for folder in (EXAMPLES, Path(__file__).parent / "dags"):
        shutil.copytree(folder, dags, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    env = airflow_env(
        home,
        dags,
        AIRFLOW__CORE__PARALLELISM="6",
        # Airflow 3.3.2 notices the end of a deferring task late otherwise; the journal's own test keeps the default.
        AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL="1",
        AIRFLOW__LOGGING__LOGGING_LEVEL="DEBUG",
        AIRFLOW_CONN_IPERNITY_DEFAULT=connection_json(e2e_service.url, upload_roots=[str(uploads)]),
    )
    with running_airflow(env) as api:
        api.wait_for_dags(
            "ipernity_replace_file",
            "ipernity_nightly_refresh",
            "ipernity_restore_backup",
            "canary",
            "kill_matrix",
        )
        yield api


@pytest.fixture
def remote(e2e_service: Service) -> Service:
    """The sandbox that the Airflow of this folder speaks to, as new."""
    e2e_service.reset()
    return e2e_service
