"""What this package costs in a real DAG processor: CPU and memory, as ratios in one run.

A DAG processor parses each file in a process of its own, a fork of one that has imported much of
Airflow. Compared are folders of files with one task each: of an empty operator, of this package,
of Airflow's http provider. BENCH_FILES in the environment: files in a folder (300); BENCH_ROUNDS:
how often each folder is parsed (3).
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.loopback import Calm, setting, workplace
from benchmarks.measure import table
from scripts.rig import airflow_env, migrate

(FILES,) = setting("BENCH_FILES", "300")
(ROUNDS,) = setting("BENCH_ROUNDS", "3")
_POLL_SECONDS = 0.02

#: What a file imports, and its task. The first is what the others are compared with.
KINDS = {
    "an empty operator": (
        "from airflow.providers.standard.operators.empty import EmptyOperator",
        "EmptyOperator(task_id='task')",
    ),
    "this package": (
        "from ipernity_provider.operators.ipernity import ReplaceFileOperator",
        "ReplaceFileOperator(task_id='task', doc_id='5412', file='/srv/boat.jpg', deferrable=True)",
    ),
    "the http provider": (
        "from airflow.providers.http.operators.http import HttpOperator",
        "HttpOperator(task_id='task', endpoint='/', deferrable=True)",
    ),
}
FILE = """{imports}
from airflow.sdk import DAG

with DAG("dag_{number}", schedule=None):
    {task}
"""


@dataclass(frozen=True)
class Parsed:
    """What it took to parse a folder once.

    :param cpu: seconds, of the DAG processor and all its children.
    :param memory: MiB, the most that one parsing process had in memory.
    """

    wall: float
    cpu: float
    memory: float


def main() -> None:
    print(f"{FILES} files with one task each, parsed by `airflow dag-processor`, {ROUNDS} rounds")
    calm = Calm()
    parsed: dict[str, list[Parsed]] = {kind: [] for kind in KINDS}
    with workplace() as folder:
        for number, (imports, task) in enumerate(KINDS.values()):
            dags = folder / f"dags{number}"
            dags.mkdir()
            for file in range(FILES):
                text = FILE.format(imports=imports, number=file, task=task)
                (dags / f"dag_{file}.py").write_text(text)
            migrate(_env(folder, number))
        for turn in range(ROUNDS):
            kinds = list(enumerate(KINDS))
            for number, kind in kinds[:: 1 if turn % 2 == 0 else -1]:
                calm.wait()
                parsed[kind].append(_parse(folder, number))
            print(f"  round {turn + 1} of {ROUNDS}", file=sys.stderr, flush=True)
    _report(parsed)
    print(calm)


def _env(folder: Path, number: int) -> dict[str, str]:
    return airflow_env(folder / f"home{number}", folder / f"dags{number}")


def _parse(folder: Path, number: int) -> Parsed:
    """Parse a folder once, from a fresh database."""
    env = _env(folder, number)
    home = Path(env["AIRFLOW_HOME"])
    database = home / "airflow.db"
    fresh = home / "fresh.db"
    if not fresh.exists():
        shutil.copy(database, fresh)
    shutil.copy(fresh, database)
    began = time.monotonic()
    with (home / "log").open("w") as log:
        server = psutil.Popen(
            ["airflow", "dag-processor", "--num-runs", "1"],
            env=env,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        memory = 0
        while (ended := os.wait4(server.pid, os.WNOHANG))[0] == 0:
            memory = max(memory, *_memory_of_children(server), 0)
            time.sleep(_POLL_SECONDS)
    _, status, used = ended
    _require_parsed(database, status, home / "log")
    cpu = used.ru_utime + used.ru_stime
    return Parsed(time.monotonic() - began, cpu, memory / (1 << 20))


def _memory_of_children(server: psutil.Popen) -> list[int]:
    found = []
    for child in server.children(recursive=True):
        try:
            found.append(child.memory_info().rss)
        except psutil.NoSuchProcess:
            continue
    return found or [0]


def _require_parsed(database: Path, status: int, log: Path) -> None:
    with sqlite3.connect(database) as connection:
        (dags,) = connection.execute("select count(*) from serialized_dag").fetchone()
        errors = connection.execute("select stacktrace from import_error").fetchall()
    if status or dags != FILES or errors:
        said = errors[0][0] if errors else log.read_text()[-2000:]
        sys.exit(f"{dags} of {FILES} DAGs were parsed, status {status}:\n{said}")


def _report(parsed: dict[str, list[Parsed]]) -> None:
    medians = {
        kind: Parsed(
            *(
                statistics.median(getattr(one, name) for one in of_kind)
                for name in ("wall", "cpu", "memory")
            )
        )
        for kind, of_kind in parsed.items()
    }
    first = next(iter(medians.values()))
    rows = [
        [
            kind,
            f"{found.wall:.1f}",
            f"{found.cpu:.1f}",
            f"{found.cpu / first.cpu:.2f}",
            f"{found.memory:.0f}",
            f"{found.memory / first.memory:.2f}",
        ]
        for kind, found in medians.items()
    ]
    print(table(["files with", "wall s", "CPU s", "/ empty", "MiB a parser", "/ empty"], rows))


if __name__ == "__main__":
    main()
