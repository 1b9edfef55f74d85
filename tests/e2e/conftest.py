"""One private Airflow and one sandbox for this folder: real processes, real sockets."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ipernity_provider.sandbox import running_sandbox
from scripts.rig import EXAMPLES, ROOT, AirflowApi, airflow_env, connection_json, running_airflow
from tests.conftest import Service, draw
from tests.docpages import blocks_of

DAGS = (
    "ipernity_approve",
    "ipernity_replace_file",
    "ipernity_nightly_refresh",
    "ipernity_notify",
    "ipernity_restore_backup",
    "ipernity_replace_many",
    "canary",
    "kill_matrix",
    "kill_taskflow",
    "kill_taskflow_many",
    "late",
    "deferrable",
    "every_ending",
    "failing",
    "object_storage",
    "batch",
    "quota",
    "tickets",
    "awaited",
    "two_writers",
)


@pytest.fixture(scope="session")
def e2e_service() -> Iterator[Service]:
    with running_sandbox(settings={"processing_seconds": 0.5}) as url:
        yield Service(url)


@pytest.fixture(scope="session")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The only folder that the connection lets files be sent from."""
    return tmp_path_factory.mktemp("uploads")


MakeEnv = Callable[..., dict[str, str]]


@pytest.fixture(scope="session")
def make_env(
    tmp_path_factory: pytest.TempPathFactory, e2e_service: Service, uploads: Path
) -> MakeEnv:
    """Makes the environment of an Airflow that knows the sandbox and some DAG files, or all."""

    def make(*files: str, **settings: Any) -> dict[str, str]:
        home = tmp_path_factory.mktemp("airflow")
        dags = home / "dags"
        dags.mkdir()
        for folder in (EXAMPLES, Path(__file__).parent / "dags"):
            for file in folder.glob("*.py"):
                if not files or file.stem in files:
                    shutil.copy(file, dags)
        if not files:
            (dags / "ipernity_notify.py").write_text(notifying())
            (dags / "late.py").write_text(notifying(too_late=True))
        return airflow_env(
            home,
            dags,
            AIRFLOW__CORE__PARALLELISM="6",
            AIRFLOW__LOGGING__LOGGING_LEVEL="DEBUG",
            AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC="2",
            AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD="8",
            AIRFLOW_CONN_IPERNITY_DEFAULT=connection_json(
                e2e_service.url, upload_roots=[str(uploads)]
            ),
            # For tasks that die while they send: ten minutes of grace for what did not arrive would
            # be long.
            AIRFLOW_CONN_IPERNITY_IMPATIENT=connection_json(
                e2e_service.url, upload_roots=[str(uploads)], resend_grace=8.0
            ),
            **settings,
        )

    return make


@pytest.fixture(scope="session")
def airflow_settings(make_env: MakeEnv) -> dict[str, str]:
    return make_env()


# To the end of this folder's tests: an Airflow that nobody needs takes a tenth of a processor.
@pytest.fixture(scope="package")
def airflow(airflow_settings: dict[str, str], e2e_service: Service) -> Iterator[AirflowApi]:
    with running_airflow(airflow_settings) as api:
        prepare(api, e2e_service, *DAGS)
        yield api


def notifying(*, too_late: bool = False) -> str:
    """The DAG of the page about notifying; the same once more with its deadline, after seconds."""
    code = {block.title: block.code for block in blocks_of(ROOT / "docs/notifying.md")}
    dag = code["ipernity_notify.py"]
    if not too_late:
        return dag
    dag = dag.replace('"ipernity_notify",', '"late", deadline=too_late,')
    return code["deadline.py"].replace("hours=6", "seconds=5") + dag


def prepare(api: AirflowApi, service: Service, *dag_ids: str) -> None:
    api.wait_for_dags(*dag_ids)
    for dag_id in dag_ids:
        api.send(
            "PATCH", f"/dags/{dag_id}", {"is_paused": False}
        )  # those with a schedule begin paused
    api.store_connection("ipernity_stored", connection_json(service.url))


@pytest.fixture(scope="package")
def processes() -> Iterator[ExitStack]:
    """Ends at the end of all these tests what one of them has started for the others."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def remote(e2e_service: Service) -> Service:
    """The sandbox that the Airflow of this folder speaks to, as new."""
    e2e_service.reset()
    return e2e_service


def env_below(temp: Path) -> dict[str, str]:
    """The environment of a command that keeps its temporary files in this folder."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return env | {"TMPDIR": str(temp)}


def running_below(temp: Path) -> list[str]:
    """What runs with this folder for its temporary files: whatever the command has started."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"TMPDIR={temp}".encode() in environ.read_bytes().split(b"\0"):
                found.append((environ.parent / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def make_pairs(remote: Service, uploads: Path, count: int) -> list[dict[str, Any]]:
    """Documents of their own, each with a new file for it."""
    doc_ids = make_documents(remote, uploads, count)
    files = [str(draw(uploads / f"new{number}.jpg", f"#ff{number:04x}")) for number in range(count)]
    return [{"doc_id": doc_id, "file": file} for doc_id, file in zip(doc_ids, files, strict=True)]


def make_documents(remote: Service, uploads: Path, count: int) -> list[str]:
    return remote.add_documents(
        draw(uploads / "old.jpg", f"#{number:06x}") for number in range(count)
    )


def assert_green(
    airflow: AirflowApi, dag_id: str, run: str, *, tries: int = 1, seconds: float = 180.0
) -> None:
    """Wait for the end of a run: it is green, and each of its tasks has had so many tries."""
    assert airflow.wait_for_run(dag_id, run, seconds) == "success"
    for task in airflow.tasks(dag_id, run):
        had = task["try_number"]
        assert had == tries, airflow.log(dag_id, run, task["task_id"], map_index=task["map_index"])[
            -6000:
        ]


def replacements(remote: Service) -> list[dict[str, Any]]:
    """The uploads that the service has accepted as replacements."""
    return [entry for entry in remote.ledger() if entry["method"] == "upload.replace"]
