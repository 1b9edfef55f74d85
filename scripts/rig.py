"""A private Airflow: its own home, database and ports, on this machine alone.

It is gone when it is closed.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import requests

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "dags_examples"
COMPONENTS = ("metadatabase", "scheduler", "dag_processor", "triggerer")

# The account that the sandbox is born with.
SANDBOX_ACCOUNT: dict[str, Any] = {
    "api_key": "6fa87ba500002712bd4eed6020f3bd72",
    "api_secret": "e9a599f0cf6ce193",
    "token": "12345-a0b1c2d3e4f5",
}


def connection_json(sandbox: str, **extra: Any) -> str:
    """The connection to a sandbox, as Airflow takes it from the environment."""
    return json.dumps(
        {
            "conn_type": "ipernity",
            "host": sandbox,
            "port": 0,
            "password": SANDBOX_ACCOUNT["api_secret"],
            "extra": {
                "api_key": SANDBOX_ACCOUNT["api_key"],
                "token": SANDBOX_ACCOUNT["token"],
                **extra,
            },
        }
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def airflow_env(
    home: Path, dags: Path = EXAMPLES, port: int | None = None, **settings: str
) -> dict[str, str]:
    """The environment of one private Airflow.

    :param settings: more of it, e.g. ``AIRFLOW_CONN_IPERNITY_DEFAULT``.
    """
    port = port or free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    # Compiling Airflow anew at each start costs seconds.
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    bin_dir = str(Path(sys.executable).parent)
    return env | {
        "PATH": f"{bin_dir}{os.pathsep}{env.get('PATH', '')}",
        "NO_COLOR": "1",
        # On Python 3.14, Airflow 3.3.2 prints one of its own to stdout with each command.
        "PYTHONWARNINGS": "ignore::PendingDeprecationWarning",
        "AIRFLOW_HOME": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        # The DAGs do not change: to parse them all the time takes a fifth of a core.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        # No run but those that somebody asks for: on the first days of a month a monthly DAG would
        # start one by itself.
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
        # Airflow 3.3.2 with the LocalExecutor notices the end of a deferring task up to this late,
        # 5 s by default. A trigger that fires before that makes it fail the task, or try it again.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        # A busy machine makes a task wait for the API server for longer than the usual 5 s.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        **settings,
    }


# The signals that end a session, each with the seconds until the next one is sent. Airflow ends its
# children on SIGINT only; what it forgets is ended by its session.
IN_ORDER = ((signal.SIGINT, 5.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 5.0))
# Again and again, for one that is killed may just have started another.
AT_ONCE = ((signal.SIGKILL, 1.0),) * 5


@contextmanager
def session_of(
    command: list[str],
    env: Mapping[str, str],
    log: Path,
    cwd: Path | None = None,
    ends: Iterable[tuple[signal.Signals, float]] = IN_ORDER,
) -> Iterator[subprocess.Popen[bytes]]:
    """A server in a process session of its own; at the end nothing of that session is left."""
    with log.open("ab") as out:
        server = subprocess.Popen(
            command,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield server
    finally:
        _end_session(server, ends)


def _end_session(
    server: subprocess.Popen[bytes], ends: Iterable[tuple[signal.Signals, float]]
) -> None:
    for how, seconds in ends:
        pids = pids_of_session(server.pid) if how != signal.SIGINT else [server.pid]
        for pid in pids:
            with suppress(OSError, psutil.Error):  # it has ended meanwhile
                if not _cleans_up(pid):
                    os.kill(pid, how)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            server.poll()
            if not pids_of_session(server.pid):
                return
            time.sleep(0.05)


def _cleans_up(pid: int) -> bool:
    """Whether a process removes what others leave in shared memory, and then ends by itself."""
    return "multiprocessing.resource_tracker" in " ".join(psutil.Process(pid).cmdline())


def pids_of_session(leader: int) -> list[int]:
    found = []
    for pid in psutil.pids():
        with suppress(OSError, psutil.Error):
            if os.getsid(pid) == leader and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
    return found


class AirflowApi:
    """The few calls of Airflow's REST API that are needed to run a DAG and look at it."""

    def __init__(self, base: str) -> None:
        self.base = base
        self._http = requests.Session()
        self._http.trust_env = False

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        answer = self._http.get(f"{self.base}/api/v2{path}", params=query, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def send(self, verb: str, path: str, body: Any = None) -> Any:
        for _ in range(5):
            answer = self._http.request(verb, f"{self.base}/api/v2{path}", json=body, timeout=30)
            # SQLite was busy for too long: Airflow has rolled everything back.
            if answer.status_code != 500 or "Database error" not in answer.text:
                break
            time.sleep(1.0)
        if not answer.ok:
            raise RuntimeError(f"{verb} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json() if answer.content else None

    def store_connection(self, conn_id: str, connection: str) -> None:
        """Store a connection that is written as the environment takes it.

        It replaces one of the same name.
        """
        fields = json.loads(connection)
        fields |= {"connection_id": conn_id, "extra": json.dumps(fields["extra"])}
        action = {"action": "create", "action_on_existence": "overwrite", "entities": [fields]}
        done = self.send("PATCH", "/connections", {"actions": [action]})["create"]
        if done["errors"]:
            raise RuntimeError(f"The connection {conn_id} could not be stored: {done['errors']}")

    def wait_until_healthy(self, seconds: float = 120.0) -> None:
        def healthy() -> bool:
            try:
                health = self.get("/monitor/health")
            except requests.RequestException:
                return False
            return all((health.get(part) or {}).get("status") == "healthy" for part in COMPONENTS)

        wait_for("a healthy Airflow", healthy, seconds)
        # What tasks speak to is set up by its first call, which can take longer than a task waits
        # before it fails.
        self._http.get(f"{self.base}/execution/health", timeout=seconds).raise_for_status()

    def wait_for_dags(self, *dag_ids: str, seconds: float = 60.0) -> None:
        def present() -> bool:
            errors = self.get("/importErrors")["import_errors"]
            if errors:
                raise RuntimeError(errors)
            return set(dag_ids) <= {dag["dag_id"] for dag in self.get("/dags", limit=100)["dags"]}

        wait_for(f"the DAGs {', '.join(dag_ids)}", present, seconds)

    def trigger(self, dag_id: str, **conf: Any) -> str:
        run = self.send("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": conf})
        return str(run["dag_run_id"])

    def wait_for_run(self, dag_id: str, run_id: str, seconds: float = 180.0) -> str:
        def state() -> str:
            found = self.get(f"/dags/{dag_id}/dagRuns/{run_id}")["state"]
            return found if found in {"success", "failed"} else ""

        return str(wait_for(f"the end of {dag_id} {run_id}", state, seconds, every=0.3))

    def clear(self, dag_id: str, run_id: str, *task_ids: str) -> None:
        """Let these tasks run once more, all of the run's if none is named.

        Not while Airflow is about to end the run: its scheduler would call a run of cleared tasks
        failed.
        """
        wanted = {"dry_run": False, "dag_run_id": run_id, "only_failed": False}
        self.send(
            "POST",
            f"/dags/{dag_id}/clearTaskInstances",
            wanted | ({"task_ids": list(task_ids)} if task_ids else {}),
        )

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            page = self.get(
                f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", limit=100, offset=len(found)
            )
            found += page["task_instances"]
            if not page["task_instances"] or len(found) >= page["total_entries"]:
                return found

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1
    ) -> Any:
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.get(path, map_index=map_index, deserialize="true")["value"]

    def log(
        self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1
    ) -> str:
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        return json.dumps(self.get(path, map_index=map_index, full_content="true")["content"])


def wait_for(what: str, found: Any, seconds: float, every: float = 0.2) -> Any:
    """Ask until there is something, or say what was waited for in vain.

    It asks less often where a question takes long, which would hold up what is waited for, and the
    longer it waits: every other second after a minute.
    """
    begun = time.monotonic()
    while True:
        asked = time.monotonic()
        if answer := found():
            return answer
        now = time.monotonic()
        if now > begun + seconds:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(max(every, 4 * (now - asked), min((now - begun) / 30, 2.0)))


@contextmanager
def running_airflow(env: Mapping[str, str]) -> Iterator[AirflowApi]:
    """All of Airflow's processes, healthy; the database is made if it is not there."""
    home = Path(env["AIRFLOW_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    migrate(env)
    # Killed at the end: in order, its processes take seconds to free their memory.
    with (
        session_of(["airflow", "standalone"], env, home / "standalone.log", ends=AT_ONCE),
        closing(AirflowApi(env["AIRFLOW__API__BASE_URL"])) as api,
    ):
        try:
            api.wait_until_healthy()
        except TimeoutError:
            sys.stderr.write((home / "standalone.log").read_text()[-3000:])
            raise
        yield api


def migrate(env: Mapping[str, str]) -> None:
    """Make or update Airflow's database; new ones in SQLite are copies of one.

    It is kept where this Airflow is installed.
    """
    database = Path(env["AIRFLOW_HOME"], "airflow.db")
    if "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" in env or database.exists():
        _run_migrations(env)
    else:
        database.parent.mkdir(parents=True, exist_ok=True)
        database.write_bytes(_new_database())


def _new_database() -> bytes:
    kept = Path(sys.prefix, f"airflow-{version('apache-airflow')}.db")
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one makes it, the others wait
        if not kept.exists():
            with tempfile.TemporaryDirectory(dir=sys.prefix) as home:
                _run_migrations(airflow_env(Path(home)))
                Path(home, "airflow.db").rename(kept)
    return kept.read_bytes()


def _run_migrations(env: Mapping[str, str]) -> None:
    done = subprocess.run(
        ["airflow", "db", "migrate"], env=dict(env), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(
            f"airflow db migrate failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
