"""Run the tests beside each Python and each Airflow that is declared.

``python -m scripts.matrix`` runs the cells one after the other, each in an environment of its own
below ``.matrix``, and writes the table in docs/versions.md. uv makes the environments: the one of
the system, or the one that this Python has. ``--view`` runs asset events and the view in a browser
alone, and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

from scripts.rig import ROOT

PLACE = ROOT / ".matrix"
PAGE = ROOT / "docs" / "versions.md"
_TABLE = re.compile(r"(?<=<!-- matrix -->\n).*(?=<!-- end of the matrix -->)", re.DOTALL)

# The documentation's own tests need its tools; they do not depend on the version of Airflow.
UNIT_AND_SOCKET = [
    *("tests", "-m", "unit or socket", "-n", "4"),
    *("--ignore", "tests/e2e", "--ignore", "tests/simulation", "--ignore", "tests/test_docs.py"),
]
DAG_RUN = [
    (
        "tests/e2e/test_dags_test.py::"
        "test_each_class_that_defers_is_green_at_the_first_try_and_sends_once[command]"
    )
]
TRIGGERER = ["tests/e2e/test_deferral.py::test_one_sensor_waits_for_the_tickets_of_all"]
DAG_RUN_TOOLS = ["pytest", "pytest-timeout", "pytest-xdist"]
VIEW = [
    "tests/e2e/test_assets.py",
    "tests/e2e/browser/test_view.py",
    "tests/e2e/browser/test_view_rights.py",
]
VIEW_TOOLS = ["--group", "test", "playwright>=1.65"]


@dataclass(frozen=True)
class Cell:
    """One environment.

    :param until: no package that was published later; empty for the newest.
    :param lowest: the lowest version of each direct dependency.
    """

    name: str
    python: str
    airflow: str = "apache-airflow"
    until: str = ""
    lowest: bool = False

    @property
    def packages(self) -> str:
        if self.lowest:
            return f"the lowest declared; others until {self.until}"
        return f"until {self.until}" if self.until else "the newest"


@dataclass(frozen=True)
class Outcome:
    """What a cell came to: a sentence for each part; empty where it was not run."""

    airflow: str
    common_compat: str = ""
    tests: str = ""
    dag_run: str = ""
    triggerer: str = ""
    day: str = ""

    @property
    def failed(self) -> bool:
        return any("failed" in part for part in (self.tests, self.dag_run, self.triggerer))


# Airflow pins its packages with each release in a file outside of the package index. The newest
# packages of those days are the same in what matters here.
CELLS = (
    Cell("lowest", "3.11", until="2026-05-01", lowest=True),
    Cell("3.2", "3.12", "apache-airflow~=3.2.0", "2026-06-15"),
    Cell("3.3", "3.13", "apache-airflow~=3.3.0", "2026-09-25"),
    Cell("newest-3.11", "3.11"),
    Cell("newest-3.12", "3.12"),
    Cell("newest-3.13", "3.13"),
    Cell("newest-3.14", "3.14"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the matrix of Python and Airflow versions.")
    parser.add_argument("cells", nargs="*", help="their names; all by default")
    parser.add_argument("--dag-run", action="store_true", help="leave the other tests out")
    parser.add_argument("--view", action="store_true", help="asset events and the view alone")
    options = parser.parse_args()
    if unknown := set(options.cells) - {cell.name for cell in CELLS}:
        parser.error(f"no such cells: {', '.join(sorted(unknown))}")
    outcomes = {}
    for cell in CELLS:
        if not options.cells or cell.name in options.cells:
            print(f"== {cell.name}: Python {cell.python}, packages: {cell.packages}", flush=True)
            outcome = _run_view(cell) if options.view else _run(cell, only_dag_run=options.dag_run)
            outcomes[cell.name] = outcome
            print(outcome, flush=True)
            if not options.view:
                (PLACE / f"{cell.name}.json").write_text(json.dumps(asdict(outcome)))
    if not options.view:
        _write_table()
    return 1 if any(outcome.failed for outcome in outcomes.values()) else 0


def _run(cell: Cell, *, only_dag_run: bool) -> Outcome:
    python = _environment(cell, DAG_RUN_TOOLS if only_dag_run else ["--group", "test"])
    if python is None:
        return Outcome(f"no Python {cell.python} was found")
    return Outcome(
        airflow=_version_of("apache-airflow", python),
        common_compat=_version_of("apache-airflow-providers-common-compat", python),
        tests="not run" if only_dag_run else _pytest(python, UNIT_AND_SOCKET),
        dag_run=_pytest(python, DAG_RUN),
        triggerer="not run" if only_dag_run else _pytest(python, TRIGGERER),
        day=datetime.now(UTC).date().isoformat(),
    )


def _run_view(cell: Cell) -> Outcome:
    """Run what needs a scheduler that starts runs by itself, and a browser."""
    python = _environment(cell, VIEW_TOOLS)
    if python is None:
        return Outcome(f"no Python {cell.python} was found")
    return Outcome(_version_of("apache-airflow", python), tests=_pytest(python, VIEW))


def run_oldest() -> tuple[str, str]:
    """Run the DAG on the oldest versions, with this Python; return Airflow's, and how it ended."""
    python = _environment(CELLS[0], DAG_RUN_TOOLS, interpreter=sys.executable)
    if python is None:
        raise RuntimeError(f"uv made no environment for {sys.executable}")
    return _version_of("apache-airflow", python), _pytest(python, DAG_RUN)


def _environment(cell: Cell, tools: list[str], interpreter: str = "") -> Path | None:
    """Make the environment and return its Python; None where there is no such interpreter."""
    folder = PLACE / cell.name
    python = folder / "bin" / "python"
    interpreter = interpreter or _interpreter(cell.python)
    PLACE.mkdir(exist_ok=True)
    if _uv("venv", "--clear", "--python", interpreter, str(folder), check=False).returncode:
        return None
    install = ("pip", "install", "--python", str(python))
    airflow = [] if cell.lowest else [cell.airflow]
    package = [*airflow, "--editable", f"{ROOT}[sandbox]"]
    if not cell.until:
        _uv(*install, *package, *tools)
        return python
    lowest = ["--resolution", "lowest-direct"] if cell.lowest else []
    _uv(*install, "--exclude-newer", cell.until, *lowest, *package)
    # The tools may be new, what they test stays as it is.
    pins = folder / "pins.txt"
    frozen = _uv("pip", "freeze", "--python", str(python), "--exclude-editable")
    pins.write_text(frozen.stdout)
    _uv(*install, "--constraint", str(pins), *tools)
    return python


def _interpreter(version: str) -> str:
    """Return pyenv's Python of this version, which is not on the path; or its number, for uv."""
    found = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
    return str(found[-1]) if found else version


def _uv(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    done = subprocess.run(
        [uv, arguments[0], "--quiet", *arguments[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        print(done.stderr[:4000], file=sys.stderr)
        if check:
            raise SystemExit(f"uv {' '.join(arguments)} failed")
    return done


def _pytest(python: Path, arguments: list[str]) -> str:
    """Run tests, and say how they ended: "1498 passed, 3 skipped"."""
    report = python.parent.parent / "report.xml"
    report.unlink(missing_ok=True)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PATH"] = f"{python.parent}{os.pathsep}{env.get('PATH', '')}"
    env["IPERNITY_BROWSER_TESTS"] = "required"
    log = report.with_name(f"{Path(arguments[0]).stem.partition('.')[0]}.log")
    with log.open("w") as output:
        subprocess.run(
            [
                str(python),
                *("-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"),
                *arguments,
            ],
            cwd=ROOT,
            env=env,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if not report.exists():
        return f"failed before the first test, see {log.relative_to(ROOT)}"
    suite = ET.parse(report).getroot()[0]  # noqa: S314 - pytest wrote it
    total, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
    failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    counts = {"passed": total - skipped - failed, "skipped": skipped, "failed": failed}
    return ", ".join(f"{n} {what}" for what, n in counts.items() if n) or "failed: no test ran"


def _version_of(package: str, python: Path) -> str:
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    return subprocess.run(
        [str(python), "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def _write_table() -> None:
    head = "| Python | Airflow | Packages | Unit and socket tests | One DAG run | Triggerer | Day |"
    rows = [head, "| --- | --- | --- | --- | --- | --- | --- |"]
    for cell in CELLS:
        stored = PLACE / f"{cell.name}.json"
        if not stored.exists():
            rows.append(f"| {cell.python} | not run | {cell.packages} | | | | |")
            continue
        outcome = Outcome(**json.loads(stored.read_text()))
        compat = f"; common-compat {outcome.common_compat}" if outcome.common_compat else ""
        cells = [
            cell.python,
            outcome.airflow,
            cell.packages + compat,
            outcome.tests,
            outcome.dag_run,
            outcome.triggerer,
            outcome.day,
        ]
        rows.append(f"| {' | '.join(cells)} |")
    table = "\n".join(rows)
    PAGE.write_text(_TABLE.sub(lambda _: f"\n{table}\n\n", PAGE.read_text()))
    print(table)


if __name__ == "__main__":
    sys.exit(main())
