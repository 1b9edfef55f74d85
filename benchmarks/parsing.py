"""What importing this package adds to the parsing of a DAG, in CPU milliseconds.

The import of ``airflow.sdk`` itself is subtracted.

Each import runs in a fresh interpreter that has loaded the names a DAG file takes from
``airflow.sdk``; rounds go forwards and backwards in turn. BENCH_ROUNDS in the environment: how many
(11). Airflow's http provider stands beside it if it is installed.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from benchmarks.loopback import Calm, setting, workplace
from benchmarks.measure import table
from scripts.rig import airflow_env

(ROUNDS,) = setting("BENCH_ROUNDS", "11")
MOST_MS = {"operators, sensors, hook": 5.0, "trigger": 15.0}
HTTP_LIBRARIES = ("aiohttp", "httpx", "oauthlib", "requests", "requests_oauthlib", "urllib3")

OURS = "ipernity_provider"
HTTP = "airflow.providers.http"
IMPORTS: dict[str, list[str]] = {
    "nothing": [],
    "operators, sensors, hook": [
        f"{OURS}.operators.ipernity",
        f"{OURS}.sensors.ipernity",
        f"{OURS}.hooks.ipernity",
    ],
    "trigger": [f"{OURS}.triggers.ipernity"],
    "http provider's operators, sensors, hook": [
        f"{HTTP}.operators.http",
        f"{HTTP}.sensors.http",
        f"{HTTP}.hooks.http",
    ],
    "http provider's trigger": [f"{HTTP}.triggers.http"],
}

IN_A_FRESH_INTERPRETER = """
import importlib, json, sys, time
from airflow.sdk import DAG, BaseHook, BaseOperator, BaseSensorOperator, Connection, task
before, cpu = set(sys.modules), time.process_time()
for name in sys.argv[1:]:
    importlib.import_module(name)
cpu = time.process_time() - cpu
print(json.dumps([cpu * 1000, sorted(set(sys.modules) - before)]))
"""


@dataclass(frozen=True)
class Sample:
    ms: float
    new_modules: list[str]


def sample(modules: list[str], env: Mapping[str, str]) -> Sample:
    command = [sys.executable, "-c", IN_A_FRESH_INTERPRETER, *modules]
    done = subprocess.run(command, env=dict(env), stdout=subprocess.PIPE, text=True, check=True)
    return Sample(*json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    names = _installed()
    print(f"Importing beside airflow.sdk, CPU time in fresh interpreters, {ROUNDS} rounds")
    calm = Calm()
    samples: dict[str, list[Sample]] = {name: [] for name in names}
    with workplace() as folder:
        env = airflow_env(folder)
        for name in names:
            sample(IMPORTS[name], env)  # compiles what was not compiled yet
        for number in range(ROUNDS):
            for name in names[:: 1 if number % 2 == 0 else -1]:
                calm.wait()
                samples[name].append(sample(IMPORTS[name], env))
            print(f"  round {number + 1} of {ROUNDS}", file=sys.stderr, flush=True)
    _report(samples)
    print(calm)


def _installed() -> list[str]:
    try:
        version("apache-airflow-providers-http")
    except PackageNotFoundError:
        print(
            "apache-airflow-providers-http is not installed and left out: `make bench` brings it."
        )
        return [name for name in IMPORTS if not name.startswith("http provider")]
    return list(IMPORTS)


def _report(samples: dict[str, list[Sample]]) -> None:
    medians = {
        name: statistics.median(sample.ms for sample in of_name)
        for name, of_name in samples.items()
    }
    rows = []
    for name, of_name in samples.items():
        all_ms, new = [sample.ms for sample in of_name], of_name[0].new_modules
        libraries = ", ".join(library for library in HTTP_LIBRARIES if library in new) or "-"
        cells = [
            f"{medians[name]:.1f}",
            f"{min(all_ms):.1f}-{max(all_ms):.1f}",
            str(len(new)),
            libraries,
        ]
        rows.append([name, *cells])
    print(table(["import", "CPU ms", "min-max", "new modules", "HTTP libraries among them"], rows))
    for name, most in MOST_MS.items():
        verdict = "holds " if medians[name] <= most else "MISSED"
        print(f"  {verdict}  {name}: {medians[name]:.1f} ms, at most {most:.0f}")


if __name__ == "__main__":
    main()
