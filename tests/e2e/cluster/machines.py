"""The cluster: Redis, PostgreSQL, Airflow's parts, two workers and two triggerers."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import kombu.pools
import psycopg2
import redis
import requests
from celery import Celery
from celery.app.control import Control

from scripts.rig import (
    AirflowApi,
    airflow_env,
    free_port,
    pids_of_session,
    session_of,
    wait_for,
)
from tests.e2e.cluster.network import Network
from tests.e2e.cluster.postgres import as_postgres

MACHINES = ("w1", "w2")
WORKERS = ("worker1", "worker2")
TRIGGERERS = ("triggerer1", "triggerer2")
#: What runs once: it survives the workers, and has the database.
CENTRAL = ("scheduler", "dag-processor")

#: A worker counts as lost after so many seconds without a heartbeat.
LOST_AFTER = 30
SECRET = "of-a-cluster-that-is-gone-when-its-tests-have-ended-0123456789-0123"
# An address at which nothing listens: workers have no database.
NO_DATABASE = "postgresql+psycopg2://nobody@127.0.0.1:1/none"


class Cluster:
    """The programs by their names; each runs in a folder of its own that no other one sees."""

    def __init__(self, folder: Path, postgres: Path, network: Network) -> None:
        """Plan a cluster; nothing runs yet.

        :param postgres: folder of its data, which the user ``postgres`` can enter.
        """
        self.network = network
        self._folder = folder
        self._postgres = postgres
        self._ports = {name: free_port() for name in ("redis", "postgres", "api-server")}
        self.api = AirflowApi(self._url("api-server", "http"))
        self._sessions: dict[str, Any] = {}
        self._started: list[int] = []
        self._stack = ExitStack()
        self._generation = 0

    def _url(self, name: str, scheme: str, path: str = "") -> str:
        return f"{scheme}://{self.network.address}:{self._ports[name]}{path}"

    def _database(self, scheme: str) -> str:
        return f"{scheme}://airflow@{self.network.address}:{self._ports['postgres']}/postgres"

    # -- processes ---------------------------------------------------------------------------------

    def start(self, *names: str) -> None:
        """Start programs, each as if on a machine that is new."""
        for name in names:
            self._generation += 1
            home = self._folder / f"{name}-{self._generation}"
            home.mkdir(parents=True)
            server = self._stack.enter_context(
                session_of(
                    self.network.command(_machine_of(name), self._command(name, home)),
                    self._env(name, home),
                    self._folder / f"{name}.log",
                    cwd=home,
                )
            )
            self._sessions[name] = server
            self._started.append(server.pid)

    def kill(self, *names: str) -> None:
        """End all processes of programs at once, as when their machines lose power."""
        for name in names:
            # Stopped, it starts no more processes while they are counted.
            self.signal(name, signal.SIGSTOP)
            family = _family(self._sessions[name].pid)
            _kill(family)
            self._sessions[name].wait()
            # PostgreSQL does not start while one of its old processes holds the shared memory.
            wait_for(f"the end of {name}", lambda family=family: not any(map(_lives, family)), 30)

    def signal(self, name: str, how: signal.Signals) -> None:
        """Send a signal to a program's main process alone."""
        os.kill(self._sessions[name].pid, how)

    def restart_what_ended(self) -> None:
        """Do what a service manager does: start programs that have ended by themselves again."""
        self.start(*(name for name, server in self._sessions.items() if server.poll() is not None))

    def close(self) -> None:
        """Leave nothing behind, without grace but for the database."""
        self.api.close()
        # Killed, PostgreSQL would leave its shared memory: it is told to end below.
        database = self._sessions.pop("postgres", None)
        for pid in self._started:
            if database is None or pid != database.pid:
                _kill(_family(pid))
        self._stack.close()

    # -- Redis and PostgreSQL ----------------------------------------------------------------------

    @contextmanager
    def control(self) -> Iterator[Control]:
        """Give a way to the workers, by way of the broker."""
        with Celery(broker=self._url("redis", "redis", "/0"), set_as_current=False) as app:
            try:
                yield app.control
            finally:
                # They outlive the app, and the broker.
                kombu.pools.reset()

    def redis(self) -> redis.Redis:
        return redis.Redis(host=self.network.address, port=self._ports["redis"])

    def wait_for_redis(self) -> None:
        def answers() -> bool:
            with suppress(redis.ConnectionError), self.redis() as client:
                return bool(client.ping())
            return False

        wait_for("Redis", answers, 30, every=0.1)

    def wait_for_postgres(self) -> None:
        def answers() -> bool:
            with suppress(psycopg2.OperationalError):
                psycopg2.connect(self._database("postgresql")).close()
                return True
            return False

        wait_for("PostgreSQL", answers, 30, every=0.1)

    def wait_for_api(self) -> None:
        def answers() -> bool:
            with suppress(requests.RequestException):
                return requests.get(f"{self.api.base}/execution/health", timeout=30).ok
            return False

        wait_for("the API server", answers, 90)

    def wait_for_workers(self, seconds: float = 90) -> None:
        """Wait until all workers answer, by way of the broker."""
        wait_for("the workers", lambda: not self._silent_workers(), seconds)

    def restart_silent_workers(self) -> bool:
        """Do what a liveness probe does, and wait until all workers answer.

        Celery 5.6 may lose Redis for good when Redis is restarted: such a worker runs, takes no
        more tasks and answers nobody.

        :return: whether one was restarted; its tasks are tried again then.
        """
        try:
            self.wait_for_workers(seconds=30)
        except TimeoutError:
            silent = self._silent_workers()
            self.kill(*silent)
            self.start(*silent)
            self.wait_for_workers()
            return bool(silent)
        return False

    def _silent_workers(self) -> list[str]:
        with self.control() as control:
            answers = control.inspect(timeout=1.0).ping() or {}
        return [worker for worker in WORKERS if f"celery@{worker}" not in answers]

    def only_worker(self, name: str) -> None:
        """Let one worker take new tasks, and the others none."""
        with self.control() as control:
            for worker in WORKERS:
                to = [f"celery@{worker}"]
                if worker == name:
                    control.add_consumer("default", destination=to, reply=True)
                else:
                    control.cancel_consumer("default", destination=to, reply=True)

    def all_workers(self) -> None:
        with self.control() as control:
            control.add_consumer("default", reply=True)

    def redeliver(self) -> int:
        """Give the workers all tasks that they are at once more, as after a visibility timeout.

        :return: how many.
        """
        with self.redis() as client:
            delivered = client.hgetall("unacked")
            for message in delivered.values():
                client.lpush("default", json.dumps(json.loads(message)[0]))
        return len(delivered)

    def refused_redeliveries(self) -> int:
        """Return how many tasks the workers did not start, because they run already."""
        logs = ((self._folder / f"{worker}.log").read_text() for worker in WORKERS)
        return sum(log.count("ignoring redelivered message") for log in logs)

    # -- what a program is started with ------------------------------------------------------------

    def _command(self, name: str, home: Path) -> list[str]:
        address = self.network.address
        if name == "redis":
            port = str(self._ports["redis"])
            keep_nothing = ["--save", "", "--appendonly", "no", "--dir", str(home)]
            # It has no password, and is reached by this cluster alone.
            open_to_all = ["--bind", address, "--protected-mode", "no"]
            return ["redis-server", "--port", port, *open_to_all, *keep_nothing]
        if name == "postgres":
            settings = {
                "listen_addresses": address,
                "port": self._ports["postgres"],
                "unix_socket_directories": "",
                "max_connections": 200,
                # What was committed survives the death of all its processes, as kill -9 is; only
                # the loss of the machine's memory would need more.
                "fsync": "off",
                "full_page_writes": "off",
            }
            options = [f"--{key}={value}" for key, value in settings.items()]
            return as_postgres("postgres", "-D", str(self._postgres), *options)
        if name in WORKERS:
            return [
                *("airflow", "celery", "worker", "--queues", "default", "--skip-serve-logs"),
                *("--celery-hostname", name),
            ]
        if name in TRIGGERERS:
            return ["airflow", "triggerer", "--skip-serve-logs"]
        if name == "scheduler":
            return ["airflow", "scheduler", "--skip-serve-logs"]
        return ["airflow", name]

    def airflow_env(self, home: Path, *, has_database: bool = True) -> dict[str, str]:
        """Return the environment of one part of Airflow.

        :param home: its folder, for all that it writes.
        """
        dags = home / "dags"
        shutil.copytree(Path(__file__).parent / "dags", dags)
        port = self._ports["api-server"]
        central = {
            "AIRFLOW__CORE__FERNET_KEY": "ZmFrZS1mZXJuZXQta2V5LWZvci10ZXN0cy1vbmx5ISE=",
            "AIRFLOW__API_AUTH__JWT_SECRET": SECRET,
            # A queued task's token is valid for `task_queued_timeout`, which is short here.
            "AIRFLOW__API_AUTH__JWT_LEEWAY": "300",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self._database("postgresql+psycopg2"),
        }
        return airflow_env(
            home,
            dags,
            port,
            HOME=str(home),
            TMPDIR=str(home),
            AIRFLOW__CORE__EXECUTOR="CeleryExecutor",
            AIRFLOW__CORE__PARALLELISM="64",
            AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG="64",
            AIRFLOW__CORE__MAX_ACTIVE_RUNS_PER_DAG="64",
            AIRFLOW__CORE__HOSTNAME_CALLABLE="socket.gethostname",
            AIRFLOW__CORE__EXECUTION_API_SERVER_URL=f"{self.api.base}/execution/",
            AIRFLOW__API__HOST=self.network.address,
            AIRFLOW__API__BASE_URL=self.api.base,
            AIRFLOW__API__SECRET_KEY=SECRET,
            AIRFLOW__CELERY__BROKER_URL=self._url("redis", "redis", "/0"),
            AIRFLOW__CELERY__RESULT_BACKEND=self._url("redis", "redis", "/1"),
            AIRFLOW__CELERY__WORKER_CONCURRENCY="8",
            AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT="3600",
            AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT=str(LOST_AFTER),
            AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL="2",
            AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT="15",
            AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL="3",
            AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC="2",
            AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD="8",
            **(central if has_database else {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": NO_DATABASE}),
        )

    def _env(self, name: str, home: Path) -> dict[str, str]:
        if name in ("redis", "postgres"):
            return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        return self.airflow_env(home, has_database=name not in WORKERS)


def _machine_of(name: str) -> str | None:
    """Return the machine that a program runs on; None for the one in the middle."""
    return f"w{name[-1]}" if name in WORKERS + TRIGGERERS else None


def _family(leader: int) -> set[int]:
    """Return the processes of a session, and those that its processes have started elsewhere."""
    found = set(pids_of_session(leader))
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _lives(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def _kill(pids: set[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
