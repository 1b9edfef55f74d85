"""The blocks of code on the documentation's pages, and a shell that runs a page from top to bottom.

On a page, ``bash`` and ``python`` blocks are run, in their order. A block with a title is the file
of that name; Python with a DAG lies in the DAGs folder. A ``text`` block with the title ``output``
is what the block above it prints, with ``...`` for anything. A comment right above a block, which
no reader sees, says what is special about it:

    <!-- not run: REASON -->        what needs a person, a package index or the live service
    <!-- in the background -->      a server: wait until it says that it is ready, then go on
    <!-- before: COMMANDS -->       what a reader has at this point and the test has not
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.rig import ROOT, session_of

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_BLOCK = re.compile(
    r"^(?P<indent> *)(?:<!-- (?P<mark>[a-z ]+?)(?:: (?P<words>[^\n]*?))? -->\n(?P=indent))?"
    r'```(?P<language>\w+)(?: title="(?P<title>[^"\n]+)")?\n(?P<code>.*?)^(?P=indent)```$',
    re.MULTILINE | re.DOTALL,
)
_SANDBOX = re.compile(
    r"(airflow ipernity sandbox|python -m ipernity_provider\.sandbox)( --port 8765)?"
)
_INCLUDED = re.compile(r'--8<-- "(.+)"\n')

# Runs DAGs in this process, which is what `airflow dags test` does in one process for each.
_RUN_DAGS = """
import sys
from airflow.dag_processing.dagbag import DagBag

bag = DagBag(sys.argv[1])
assert not bag.import_errors, bag.import_errors
for dag_id in sys.argv[2:]:
    for task in bag.dags[dag_id].tasks:
        task.retries = 0  # the first try has to do it
    run = bag.dags[dag_id].test()
    assert run.state == "success", f"{dag_id}: {run.state}"
"""


@dataclass(frozen=True)
class Block:
    """One fenced block; ``mark`` and ``words`` are those of the comment above it."""

    language: str
    title: str
    mark: str
    words: str
    code: str
    is_included: bool

    @property
    def dag_ids(self) -> list[str]:
        """The DAGs in it."""
        return re.findall(r'\bDAG\(\s*"(\w+)"', self.code) if self.language == "python" else []

    @property
    def is_run(self) -> bool:
        return self.language in {"bash", "python"} and self.mark != "not run"


def blocks_of(page: Path) -> list[Block]:
    """Return all blocks of a page, also those within tabs."""
    found = []
    for block in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        code = re.sub(rf"^{block['indent']}", "", block["code"], flags=re.MULTILINE)
        whole = _INCLUDED.sub(lambda file: (ROOT / file[1]).read_text(encoding="utf-8"), code)
        mark, words = block["mark"] or "", block["words"] or ""
        found.append(
            Block(block["language"], block["title"] or "", mark, words, whole, whole != code)
        )
    return found


def starts_a_sandbox(blocks: list[Block]) -> bool:
    return any(block.is_run and _SANDBOX.search(block.code) for block in blocks)


class PageRun:
    """A page in an empty folder, run by one shell: exported variables hold to the page's end.

    :param port: takes the place of the sandbox's usual one on the page.
    """

    def __init__(self, page: Path, folder: Path, port: int) -> None:
        self.blocks = blocks_of(page)
        self._folder = folder
        self._port = port

    def run(self, env: Mapping[str, str], seconds: float) -> str:
        """Run the page; return what is wrong, or nothing."""
        (self._folder / "dags").mkdir(exist_ok=True)
        (self._folder / "run_dags.py").write_text(_RUN_DAGS)
        (self._folder / ".curlrc").write_text(
            "fail\nsilent\nshow-error\n"
        )  # an HTTP error ends the page
        (self._folder / "page.sh").write_text("\n".join(self._script()))
        env = {**env, "CURL_HOME": str(self._folder), "PAGE": str(self._folder), "ROOT": str(ROOT)}
        command = ["bash", "-c", 'cd "$PAGE" && exec bash page.sh']
        with session_of(command, env, self._folder / "page.log") as shell:
            try:
                exit_code = shell.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                exit_code = None
        if exit_code == 0:
            return "\n".join(self._differences())
        reached = (self._folder / "reached").read_text().strip()
        printed = (self._folder / f"{reached}.out").read_text() + (
            self._folder / "page.log"
        ).read_text()
        ended = (
            f"did not end within {seconds:g} s"
            if exit_code is None
            else f"ended with exit code {exit_code}"
        )
        return (
            f"This block {ended}:\n\n{(self._folder / f'{reached}.sh').read_text()}"
            f"\n{printed[-5000:]}"
        )

    def _script(self) -> Iterator[str]:
        # -m: a server in the background is a job that can be ended as a whole.
        yield "set -em -o pipefail"
        commands = "\n".join(block.code for block in self.blocks if block.language == "bash")
        dag_ids = []
        for number, block in enumerate(self.blocks):
            code = self._in_place(block.code)
            name = block.title or f"block_{number}.py"
            folder = self._folder / ("dags" if block.dag_ids else ".")
            if block.title not in {"", "output"} or (block.language == "python" and block.is_run):
                (folder / name).write_text(code)
            if block.is_run and not block.dag_ids:
                run_file = (
                    f"python -m pytest -q {name}" if "def test_" in code else f"python {name}"
                )
                yield from self._steps(
                    f"{number}", code if block.language == "bash" else run_file, block
                )
            own = [dag_id for dag_id in block.dag_ids if not re.search(rf"\b{dag_id}\b", commands)]
            if block.mark == "before" and own:
                yield from self._steps(
                    f"{number}", f"python run_dags.py dags {' '.join(own)}", block
                )
            elif not block.is_included:
                dag_ids += own
        if dag_ids:
            yield from self._steps("dags", f"python run_dags.py dags {' '.join(dag_ids)}")

    def _steps(self, name: str, code: str, block: Block | None = None) -> Iterator[str]:
        mark, words = (block.mark, self._in_place(block.words)) if block else ("", "")
        (self._folder / f"{name}.sh").write_text(code)
        yield f"echo {name} > reached; : > {name}.out"
        if mark == "before":
            yield f"{{ {words}; }} >> page.log 2>&1"
        if mark == "in the background":
            yield f"source {name}.sh > {name}.out 2>&1 &"
            yield f"until grep -q 'ready: ' {name}.out; do kill -0 $!; sleep 0.1; done"
        else:
            yield f"source {name}.sh > {name}.out 2>&1"

    def _in_place(self, code: str) -> str:
        """Return code with the test's files, folders and port in place of the reader's."""
        code = _SANDBOX.sub(r"\1 --port 8765", code).replace("8765", str(self._port))
        return re.sub(r"(?<![\w:/])/(data|etc)/", rf"{self._folder}/\1/", code)

    def _differences(self) -> Iterator[str]:
        """Yield each output on the page that is not what the block above it has printed."""
        for number, block in enumerate(self.blocks[1:]):
            if block.title == "output" and self.blocks[number].is_run:
                printed = (self._folder / f"{number}.out").read_text()
                expected = re.escape(self._in_place(block.code).strip()).replace(r"\.\.\.", ".*")
                if not re.search(expected, printed, re.DOTALL):
                    yield (
                        f"The page says that a block prints\n{block.code}\n"
                        f"but it printed\n{printed}"
                    )
