"""Imports go one way: api, files <- replacement <- bulk <- Airflow; the sandbox stands alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "ipernity_provider"

_CORE = {"text", "metrics", "api", "files", "replacement", "bulk"}
_AIRFLOW = {"airflow", "airflow_compat"}

#: Room -> the rooms that it may import from. Only those named `airflow` may know of Airflow.
MAY_IMPORT = {
    "text.py": set[str](),
    "metrics.py": set[str](),
    "api": {"text", "metrics", "api"},
    "files": {"text", "files"},
    "replacement": {"text", "metrics", "api", "files", "replacement"},
    "bulk": _CORE,
    "probe": {"text", "api", "files", "probe"},
    "airflow_compat.py": {"airflow"},
    "assets": {*_CORE, "assets", *_AIRFLOW},
    "state.py": {*_CORE, *_AIRFLOW},
    "hooks": {*_CORE, "assets", "state", "probe", "hooks", *_AIRFLOW},
    "links": {"links", *_AIRFLOW},
    "triggers": {*_CORE, "hooks", "triggers", *_AIRFLOW},
    "operators": {*_CORE, "assets", "state", "hooks", "links", "triggers", "operators", *_AIRFLOW},
    "sensors": {*_CORE, "hooks", "links", "triggers", "sensors", *_AIRFLOW},
    "plugins": {*_CORE, "hooks", "plugins", *_AIRFLOW},
    "cli": {*_CORE, "probe", "hooks", "cli", "sandbox", *_AIRFLOW},
    "sandbox": {"sandbox"},
    "testing.py": {"api", "sandbox"},
    "__main__.py": {"airflow", "cli"},
    "get_provider_info.py": set[str](),
    "__init__.py": set[str](),
}


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            alone = node.module == "ipernity_provider"  # `from ipernity_provider import metrics`
            named = {alias.name for alias in node.names} - {"__version__"} if alone else set()
            yield from (f"ipernity_provider.{name}" for name in named)
            yield str(node.module)


def rooms(file: Path) -> Iterator[str]:
    for name in imported(file):
        first, _, rest = name.partition(".")
        if first == "ipernity_provider" and rest:
            yield rest.partition(".")[0]
        elif first == "airflow":
            yield "airflow"


def test_each_room_has_its_rule() -> None:
    there = {
        path.name for path in PACKAGE.iterdir() if path.name not in {"py.typed", "__pycache__"}
    }
    assert there == set(MAY_IMPORT)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_from_those_below_it(room: str) -> None:
    place = PACKAGE / room
    for file in [place] if place.is_file() else place.rglob("*.py"):
        assert set(rooms(file)) <= MAY_IMPORT[room], file


#: What the commands `replace`, `restore` and `probe` are made of.
READ_AT_THE_COMMAND_LINE = (
    *("api", "files", "replacement", "bulk", "probe"),
    *(f"cli/{name}.py" for name in ("replace", "restore", "probe", "errors", "journal")),
)


def sentences(file: Path) -> Iterator[str]:
    """Yield all texts of a file but its docstrings."""
    tree = ast.parse(file.read_text())
    docs = [node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docs:
            yield node.value


@pytest.mark.parametrize("room", READ_AT_THE_COMMAND_LINE)
def test_no_sentence_at_the_command_line_speaks_of_tasks(room: str) -> None:
    place = PACKAGE / room
    for file in [place] if place.is_file() else place.rglob("*.py"):
        found = [text for text in sentences(file) if re.search(r"(?i)\btasks?\b", text)]
        assert not found, file
