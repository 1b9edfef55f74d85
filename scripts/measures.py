"""Where the house stands: what a reader crosses on the way of one file, and how long functions are.

    python -m scripts.measures

Two walks are traced in this process, against a sandbox in another one: a file through
``ReplaceFileOperator`` that waits in the worker, and a row of a manifest through
``ReplaceFilesOperator``. Counted are the functions of the package (without the sandbox), their
files, and the jumps back: how often the next function that is new to the reader lies in a file that
was entered and left before.
"""

from __future__ import annotations

import ast
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import mean
from types import FrameType, SimpleNamespace
from typing import Any

PACKAGE = Path(__file__).parent.parent / "ipernity_provider"
SANDBOX = PACKAGE / "sandbox"


class Walk:
    """The calls that were made into the package, in their order."""

    def __init__(self) -> None:
        self.functions: set[tuple[str, str, int]] = set()
        self.files: list[str] = []
        self._lock = threading.Lock()

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(str(PACKAGE)):
            return
        # What a reader does not go through by itself: modules, comprehensions, and what dataclasses
        # generate.
        if code.co_name.startswith("<") or code.co_filename.startswith(str(SANDBOX)):
            return
        function = (code.co_filename, code.co_name, code.co_firstlineno)
        with self._lock:
            if function in self.functions:  # a reader knows it by now
                return
            self.functions.add(function)
            if not self.files or self.files[-1] != code.co_filename:
                self.files.append(code.co_filename)

    @property
    def jumps_back(self) -> int:
        seen: set[str] = set()
        jumps = 0
        for file in self.files:
            jumps += file in seen
            seen.add(file)
        return jumps

    def line(self, name: str) -> str:
        return (
            f"{name:<34} {len(self.functions):>9} {len(set(self.files)):>6} {self.jumps_back:>11}"
        )


@contextmanager
def traced(walk: Walk) -> Iterator[None]:
    threading.setprofile(walk)
    sys.setprofile(walk)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


class Store(dict[str, Any]):
    """A task state store like Airflow's."""

    def set(self, key: str, value: Any, **_: Any) -> None:
        self[key] = value

    def delete(self, key: str) -> None:
        self.pop(key, None)


def context() -> Any:
    ti = SimpleNamespace(try_number=1, max_tries=0, map_index=-1, xcom_push=lambda **_: None)
    return {"ti": ti, "task_state_store": Store()}


def walk_one_file(folder: Path) -> Walk:
    from ipernity_provider.operators.ipernity import ReplaceFileOperator

    operator = ReplaceFileOperator(
        task_id="one", doc_id="5412", file=picture(folder, 1), poll_interval=0.1
    )
    return walk_through(lambda: operator.execute(context()))


def walk_one_row(folder: Path) -> Walk:
    from ipernity_provider.operators.ipernity import ReplaceFilesOperator

    rows = [{"doc_id": "5412", "file": str(picture(folder, 2))}]
    operator = ReplaceFilesOperator(task_id="many", manifest=rows, poll_interval=0.1)
    return walk_through(lambda: operator.execute(context()))


def walk_through(execute: Callable[[], object]) -> Walk:
    walk = Walk()
    with traced(walk):
        execute()
    return walk


def picture(folder: Path, number: int) -> Path:
    file = folder / f"boat-{number}.gif"
    file.write_bytes(b"GIF89a" + os.urandom(100))
    return file


def length_of_functions() -> list[int]:
    """Return the lines of each function of the package."""
    lengths = []
    for path in PACKAGE.rglob("*.py"):
        if SANDBOX in path.parents:
            continue
        functions = [
            node
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        lengths += [(node.end_lineno or 0) - node.lineno + 1 for node in functions]
    return lengths


def main() -> None:
    from ipernity_provider.sandbox import running_sandbox
    from scripts.rig import connection_json

    logging.disable(logging.CRITICAL)

    with (
        running_sandbox(settings={"processing_seconds": 0.2}) as url,
        tempfile.TemporaryDirectory() as folder,
    ):
        os.environ["AIRFLOW_CONN_IPERNITY_DEFAULT"] = connection_json(url)
        print(f"{'walk':<34} {'functions':>9} {'files':>6} {'jumps back':>11}")
        for _ in range(2):  # the first round loads the modules
            walks = [
                walk_one_file(Path(folder)).line("one file, ReplaceFileOperator"),
                walk_one_row(Path(folder)).line("one row, ReplaceFilesOperator"),
            ]
        print(*walks, sep="\n")
    lengths = length_of_functions()
    lines = sum(
        len(path.read_text().splitlines())
        for path in PACKAGE.rglob("*.py")
        if SANDBOX not in path.parents
    )
    print(
        f"\n{len(lengths)} functions of {mean(lengths):.1f} lines on average; {lines:,} lines in"
        " all, without the sandbox."
    )


if __name__ == "__main__":
    main()
