from __future__ import annotations

import signal
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from PIL import Image
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.sandbox import running_sandbox
from scripts.rig import wait_for

if TYPE_CHECKING:
    from tests.object_storage import Bucket, ObjectServer, Storage

API_KEY, API_SECRET = "6fa87ba500002712bd4eed6020f3bd72", "e9a599f0cf6ce193"
TOKEN = "12345-a0b1c2d3e4f5"
OAUTH_TOKEN, OAUTH_SECRET = "98765-0a1b2c3d4e5f", "feedc0ffee012345"
SECRETS = (API_SECRET, TOKEN, OAUTH_TOKEN, OAUTH_SECRET)

BOAT = "5412"
CREDENTIALS: dict[str, dict[str, Any]] = {
    "signature": {"auth": "signature", "token": TOKEN},
    "oauth": {"auth": "oauth", "token": OAUTH_TOKEN, "token_secret": OAUTH_SECRET},
}


#: Files of a real Airflow by what their tests share, where that is not the Airflow of their folder:
#: one of their own, or the many runs that would take longest if they waited for all others.
_AIRFLOWS = {
    "tests/e2e/test_commands.py": "commands",
    "tests/e2e/test_dags_test.py": "dags_test",
    "tests/e2e/test_example_defaults.py": "example_defaults",
    "tests/e2e/test_deferral.py": "many runs",
    "tests/e2e/test_kill_matrix.py": "many runs",
    "tests/e2e/test_two_writers.py": "many runs",
    "tests/e2e/test_oldest_versions.py": "oldest versions",
    # These make what takes seconds once for all their tests.
    "tests/plugins/test_pages.py": "pages",
    "tests/cli/test_storing.py": "storing",
}


class SharedAirflow(LoadScopeScheduling):  # type: ignore[misc]
    """All tests that share an Airflow run in one of pytest's processes, others in any.

    Every fourth process takes its tests from the end of the queue: an Airflow keeps the processors
    busy, most tests at the end wait for something.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        folder = file.rpartition("/")[0]
        return _AIRFLOWS.get(file, folder if folder.startswith("tests/e2e") else nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        if self.nodes.index(node) % 4 == 3:
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
        super()._assign_work_unit(node)


#: What a test needs by its folder, where neither a marker of its own nor its fixtures say so.
_LEVELS = {
    "e2e": "e2e",
    "simulation": "simulation",
    "sandbox": "socket",
    "cli": "socket",
    "security": "socket",
}
_SOCKETS = frozenset({"running_service", "storage", "object_server"})


def _is(item: pytest.Item, level: str) -> bool:
    return item.get_closest_marker(level) is not None


def pytest_configure() -> None:
    """Let Ctrl-C end what the tests start, also where a shell runs them in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by its level: unit (pure), simulation, socket (over sockets), e2e."""
    for item in items:
        if any(_is(item, level) for level in ("unit", "simulation", "socket", "e2e")):
            continue
        folder = item.nodeid.split("/")[1] if item.nodeid.count("/") > 1 else ""
        sockets = _SOCKETS & set(getattr(item, "fixturenames", ()))
        item.add_marker(_LEVELS.get(folder, "socket" if sockets else "unit"))
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    """What takes longest begins first: while it waits, the short ones have the processors."""
    if not _is(item, "e2e"):
        return 2
    file = item.nodeid.partition("::")[0]
    return 0 if file.startswith("tests/e2e") and _AIRFLOWS.get(file) in {None, "many runs"} else 1


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SharedAirflow:
    return SharedAirflow(config, log)


@dataclass(frozen=True)
class Service:
    """The sandbox as the tests see it: what it is told, and what it has seen."""

    url: str

    def set(self, **settings: Any) -> None:
        answer = requests.put(f"{self.url}/_sandbox/settings", json=settings, timeout=10)
        assert answer.ok, answer.text

    def fail(
        self, kind: str, method: str = "*", *, times: int = 1, after_accepting: bool = False
    ) -> None:
        fault = {"method": method, "times": times, "kind": kind, "after_accepting": after_accepting}
        self.set(faults=[fault])

    def ledger(self) -> list[dict[str, Any]]:
        return list(self._get("ledger"))

    def calls(self) -> dict[str, int]:
        return dict(self._get("calls"))

    def requests(self) -> list[dict[str, Any]]:
        """The latest calls, with parameters and answers."""
        return list(self._get("requests"))

    def tickets(self) -> list[dict[str, Any]]:
        return list(self._get("tickets"))

    def make_tickets(self, count: int, ready_in: tuple[float, float]) -> list[str]:
        answer = self._post("tickets", {"count": count, "ready_in": ready_in})
        return list(answer["tickets"] if isinstance(answer, dict) else answer)

    def while_sending(self, act: Callable[[], object]) -> None:
        """Do something once a replacement is on its way to the service."""

        def wait() -> None:
            wait_for("an upload", lambda: self.calls().get("upload.replace"), 60)
            act()

        threading.Thread(target=wait).start()

    def finish_pending(self) -> None:
        """End the processing of all pending uploads now."""
        self._post("tickets/finish")

    def reset(self) -> None:
        self._post("reset")

    def add_documents(self, files: Iterable[Path]) -> list[str]:
        """New documents of the account, one for each file; complete at once."""
        processing = self._get("settings")["processing_seconds"]
        self.set(processing_seconds=0)
        with self.client() as client:
            doc_ids = [str(client.upload_file(file, asynchronous=False).doc_id) for file in files]
        self.set(processing_seconds=processing)
        return doc_ids

    def client(self, auth: str = "signature", **options: Any) -> IpernityClient:
        return IpernityClient(
            API_KEY, API_SECRET, **{**CREDENTIALS[auth], "base_url": self.url, **options}
        )

    def _get(self, what: str) -> Any:
        return requests.get(f"{self.url}/_sandbox/{what}", timeout=10).json()

    def _post(self, what: str, body: Any = None) -> Any:
        answer = requests.post(f"{self.url}/_sandbox/{what}", json=body or {}, timeout=30)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None


@pytest.fixture(scope="session")
def running_service() -> Iterator[Service]:
    with running_sandbox(settings={"processing_seconds": 0.2}) as url:
        yield Service(url)


@pytest.fixture
def service(running_service: Service) -> Service:
    running_service.reset()
    return running_service


@pytest.fixture
def client(service: Service) -> Iterator[IpernityClient]:
    with service.client() as client:
        yield client


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return draw(tmp_path / "boat-new.jpg", "#2f6f9f")


@pytest.fixture
def other_picture(tmp_path: Path) -> Path:
    return draw(tmp_path / "boat-newer.jpg", "#9f2f6f")


def draw(path: Path, colour: str) -> Path:
    Image.new("RGB", (320, 200), colour).save(path)
    return path


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """An S3 server."""
    from tests.object_storage import running_storage

    with running_storage(tmp_path_factory.mktemp("moto")) as storage:
        yield storage


@pytest.fixture
def bucket(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket of the test's own; the Airflow connection ``media`` may do anything with it."""
    from tests.object_storage import Bucket

    bucket = Bucket(storage, f"media-{uuid.uuid4().hex[:12]}")
    storage.client().create_bucket(Bucket=bucket.name)
    monkeypatch.setenv("AIRFLOW_CONN_MEDIA", storage.connection())
    return bucket


@pytest.fixture(scope="session")
def object_server() -> Iterator[ObjectServer]:
    """A server for objects that moto cannot have: one, as Airflow keeps a connection's files."""
    from tests.object_storage import ObjectServer

    with ObjectServer().running() as server:
        yield server


Connect = Callable[..., str]


@pytest.fixture
def connect(service: Service, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Makes an Airflow connection to the sandbox, returns its id; None removes an extra."""
    from scripts.rig import connection_json

    def make(conn_id: str = "ipernity_default", **extra: Any) -> str:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", connection_json(service.url, **extra))
        return conn_id

    return make
