"""The documentation says what the code does, and builds without a warning."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Connection

from ipernity_provider.api.errors import COMMON_CODES, METHOD_CODES
from ipernity_provider.cli.definition import AUTHORIZE
from ipernity_provider.get_provider_info import get_provider_info
from ipernity_provider.hooks.connection import ConnectionSettings
from ipernity_provider.operators.base import ReplacingOperator
from ipernity_provider.operators.ipernity import ReplaceFileOperator, ReplaceFilesOperator
from ipernity_provider.probe.findings import FACTS, MEASURES, MEDIA_FACTS
from ipernity_provider.sandbox.settings import Settings
from ipernity_provider.sensors.ipernity import IpernityQuotaSensor, TicketSensor
from scripts.docs_hooks import (
    MARKS,
    common_codes,
    method_codes,
    on_page_content,
    on_page_markdown,
    sandbox_lacks,
    sandbox_methods,
)
from scripts.rig import ROOT

DOCS = ROOT / "docs"
PACKAGE = ROOT / "ipernity_provider"


def text(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    """The blocks of code on a page, also those within tabs."""
    found = re.findall(
        rf"^( *)```{language}\b[^\n]*\n(.*?)^\1```$", text(page), re.MULTILINE | re.DOTALL
    )
    return [re.sub(rf"^{indent}", "", code, flags=re.MULTILINE) for indent, code in found]


def tables(page: str, head: str) -> list[dict[str, list[str]]]:
    """The tables whose first column is headed so: what a row's first cell names -> other cells."""
    found: list[dict[str, list[str]]] = []
    for lines in re.findall(r"(?:^\|.*\n)+", text(page), re.MULTILINE):
        (first, *_), _, *rows = (
            [cell.strip() for cell in line.split("|")[1:-1]] for line in lines.splitlines()
        )
        if first == head:
            found.append(
                {name: cells for names, *cells in rows for name in re.findall(r"`([^`]+)`", names)}
            )
    return found


def table(page: str, head: str) -> dict[str, list[str]]:
    """The rows of all those tables."""
    return {name: cells for rows in tables(page, head) for name, cells in rows.items()}


# -- error codes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", COMMON_CODES)
def test_each_common_code_is_in_the_table(code: int) -> None:
    (row,) = [line for line in common_codes().splitlines() if line.startswith(f"| `{code}` |")]
    meaning = COMMON_CODES[code]
    assert all(word in row for word in (meaning.title, meaning.advice, meaning.error.__name__))


@pytest.mark.parametrize(
    ("method", "code"), [(method, code) for method, codes in METHOD_CODES.items() for code in codes]
)
def test_each_code_of_a_method_is_in_the_table(method: str, code: int) -> None:
    (row,) = [
        line
        for line in method_codes().splitlines()
        if line.startswith(f"| `{method}` | `{code}` |")
    ]
    meaning = METHOD_CODES[method][code]
    assert all(word in row for word in (meaning.title, meaning.advice, meaning.error.__name__))


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        (107, "| no: a person has to act |"),
        (102, "| no |"),
        (112, "| yes, first after 1 h |"),
        (113, "| yes, first after 5 min |"),
        (132, "| yes |"),
        (500, "| yes; an upload only after asking whether it arrived |"),
    ],
)
def test_the_table_says_whether_a_task_is_tried_again(code: int, answer: str) -> None:
    (row,) = [line for line in common_codes().splitlines() if line.startswith(f"| `{code}` |")]
    assert answer in row


def test_the_tables_take_the_place_of_their_marks() -> None:
    pages = {name: text(name) for name in ("troubleshooting.md", "sandbox.md")}
    for mark, table in MARKS.items():
        (page,) = [page for page in pages.values() if mark in page]
        assert mark not in on_page_markdown(page)
        assert table() in on_page_markdown(page)


def test_the_tables_of_the_sandbox_name_each_method_of_the_service_once() -> None:
    rows = dict(re.findall(r"^\| `([\w.]+)` \|(.*)$", sandbox_methods(), re.MULTILINE))
    lacking = re.findall(r"`([\w.]+)`", sandbox_lacks())
    assert len(rows) + len(lacking) == len({*rows, *lacking}) == 102
    assert "| POST, token, doc: write | `doc_id`, `share`" in "|" + rows["doc.setPerms"]
    assert "`dir`" in rows["upload.file"].rpartition(" | ")[0]
    assert "`dist`" in rows["doc.search"].rpartition(" | ")[2]


def test_a_name_in_a_docstring_becomes_a_link() -> None:
    assert (
        on_page_content("see :class:<code>~a.b.Client</code>, :meth:<code>call</code>")
        == 'see <autoref identifier="a.b.Client" optional><code>Client</code></autoref>, '
        '<autoref identifier="call" optional><code>call</code></autoref>'
    )


# -- fields, parameters, settings, options ---------------------------------------------------------


def conn_fields() -> dict[str, Any]:
    (connection,) = get_provider_info()["connection-types"]
    return dict(connection["conn-fields"])


@pytest.mark.parametrize(("name", "field"), conn_fields().items())
def test_each_field_of_the_connection_is_described_with_its_default(
    name: str, field: dict[str, Any]
) -> None:
    _, default = table("connection.md", "field")[name]
    if "default" in field["schema"]:
        assert str(field["schema"]["default"]).lower() in re.split(r"\W+", default.lower())


@pytest.mark.parametrize(
    ("page", "operator", "shared"),
    [
        ("replacing.md", ReplaceFileOperator, [ReplacingOperator]),
        ("replacing.md", TicketSensor, []),
        ("many.md", ReplaceFilesOperator, []),
        ("many.md", IpernityQuotaSensor, []),
    ],
)
def test_each_parameter_is_described_with_its_default(
    page: str, operator: Any, shared: list[Any]
) -> None:
    every = {
        name: parameter.default
        for kind in (*shared, operator)
        for name, parameter in inspect.signature(kind.__init__).parameters.items()
    }
    parameters = {
        name: default for name, default in every.items() if name not in {"self", "kwargs"}
    }
    (rows,) = [rows for rows in tables(page, "parameter") if rows.keys() == parameters.keys()]
    for name, default in parameters.items():
        what, told = rows[name]
        assert ("(templated)" in what) == (name in operator.template_fields), name
        if name != "deferrable" and default not in {None, inspect.Parameter.empty}:
            assert ast.literal_eval(told.strip("`")) == default, name


@pytest.mark.parametrize(("name", "value"), Settings().as_json().items())
def test_each_setting_of_the_sandbox_is_described_with_its_default(name: str, value: Any) -> None:
    default = json.loads(table("sandbox.md", "setting")[name][0].strip("`"))
    assert Settings().changed({name: default}).as_json()[name] == value


@pytest.mark.parametrize(("fact", "cells"), table("known.md", "fact").items())
def test_each_line_of_what_is_known_names_real_questions_and_settings(
    fact: str, cells: list[str]
) -> None:
    evidence, probed, switch = cells
    questions = {known.label for known in (*FACTS.values(), *MEDIA_FACTS.values())}
    questions |= {*MEASURES.values(), "sent as numbers"}
    asked = set(re.findall(r"\*([^*]+)\*", probed))
    assert asked <= questions
    assert evidence
    assert asked or probed.startswith("not probed") or "the codes of what was refused" in probed
    for names in re.findall(r"sandbox ((?:`\w+`(?:, )?)+)", switch):
        assert set(re.findall(r"\w+", names)) <= Settings().as_json().keys()
    assert switch


@pytest.mark.parametrize("argument", AUTHORIZE.args, ids=lambda argument: argument.flags[0])
def test_each_option_of_authorize_is_described(argument: Any) -> None:
    (flag,) = argument.flags
    assert any(name.partition(" ")[0] == flag for name in table("connecting.md", "option"))


@pytest.mark.parametrize(
    ("name", "option"), get_provider_info()["config"]["ipernity"]["options"].items()
)
def test_each_option_of_the_view_is_described_with_its_default(
    name: str, option: dict[str, Any]
) -> None:
    head = "option in section `[ipernity]` of Airflow's configuration"
    _, default = table("view.md", head)[name]
    assert default.strip("`").partition(":")[0] == (option["default"] or "none")


# -- sentences -------------------------------------------------------------------------------------


def sentence_of(node: ast.AST) -> str | None:
    """Text in the code, with an ellipsis for what is filled in."""
    if isinstance(node, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
        return "".join(map(str, parts))
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def sentences() -> Iterator[str]:
    """All text in the code of the package."""
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if (sentence := sentence_of(node)) is not None:
                yield sentence


def failures() -> Iterator[str]:
    """The sentences of all errors that a task can end with."""
    raised = re.compile(
        r"class (\w+)\((?:\w*Error|Refused|Cancelled|RuntimeError)\b"
    )  # the rooms name their errors after what happened
    sources = [
        file.read_text(encoding="utf-8")
        for file in PACKAGE.rglob("*.py")
        if file.relative_to(PACKAGE).parts[0] not in {"cli", "sandbox"}
    ]
    kinds = {name for source in sources for name in raised.findall(source)} | {
        "kind",
        "error",
        "ValueError",
    }
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and node.args:
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                if name in kinds and (sentence := sentence_of(node.args[0])):
                    yield sentence


@pytest.mark.parametrize(("page", "at_least"), [("troubleshooting.md", 100), ("storage.md", 12)])
def test_each_sentence_that_is_explained_is_one_that_can_be_met(page: str, at_least: int) -> None:
    said = list(sentences())
    explained = table(page, "the sentence says")
    assert len(explained) >= at_least
    assert [words for words in explained if not any(words in sentence for sentence in said)] == []


def test_each_sentence_of_a_failure_is_explained() -> None:
    explained = [
        *table("troubleshooting.md", "the sentence says"),
        *table("storage.md", "the sentence says"),
    ]
    # What is put together of others has few words of its own.
    whole = [sentence for sentence in failures() if len(re.findall(r"\w+", sentence)) > 3]
    assert len(whole) > 80
    assert [
        sentence for sentence in whole if not any(words in sentence for words in explained)
    ] == []


# -- connections -----------------------------------------------------------------------------------


def connections() -> list[Any]:
    """Everything on the connection's page that is a connection, as JSON or as a URI."""
    page = text("connection.md")
    found: list[Any] = re.findall(r"ipernity://[^'\s]+", page)
    found += re.findall(r"AIRFLOW_CONN_IPERNITY_DEFAULT='(\{.*\})'", page)
    for block in blocks("connection.md", "json"):
        decoded = json.loads(block)
        if isinstance(decoded, dict):
            decoded = decoded.get("ipernity_default", decoded)
            found.append(json.dumps(decoded))
    return found


@pytest.mark.parametrize("written", connections())
def test_the_connections_on_the_page_can_be_read(written: str, tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()
    written = written.replace("/etc/ssl/our-ca.pem", str(authority))
    make = Connection.from_uri if "://" in written.partition("{")[0] else Connection.from_json
    connection = make(written, conn_id="ipernity_default")
    settings = ConnectionSettings.of(connection, connection.extra_dejson)
    assert settings.api_key in {"KEY", "6fa87ba500002712bd4eed6020f3bd72"}
    assert settings.token
    assert settings.base_url in {None, "http://127.0.0.1:8765"}


# -- the site --------------------------------------------------------------------------------------


@pytest.mark.e2e
def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    env = os.environ | {"NO_COLOR": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loads = re.compile(
        r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?(?:https?:)?//|<link\b[^>]*\bhref=["']?https?://"""
    )
    pages = list(tmp_path.glob("*.html"))
    assert len(pages) > len(list(DOCS.glob("*.md")))
    assert [page.name for page in pages if loads.search(page.read_text(encoding="utf-8"))] == []
