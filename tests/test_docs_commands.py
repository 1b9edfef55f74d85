"""The commands and the code on the documentation's pages do what the pages say."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from airflow.cli.cli_parser import get_parser

from ipernity_provider.sandbox import running_sandbox
from scripts.rig import airflow_env, connection_json, free_port, migrate
from tests.conftest import draw
from tests.docpages import PAGES, Block, PageRun, blocks_of, starts_a_sandbox
from tests.object_storage import Storage

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

PICTURES = (
    "pictures/boat.jpg",
    "pictures/mountains.jpg",
    "pictures/meadow.png",
    "charts/boats.png",
    "ipernity/boat.jpg",
)
BUCKETS = {"my-bucket": "my_connection", "my-other-bucket": "my_archive"}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new Airflow's database."""
    home = tmp_path_factory.mktemp("database")
    migrate(airflow_env(home))
    return home / "airflow.db"


@pytest.fixture
def folder(tmp_path: Path, database: Path) -> Path:
    """The place of a reader with an Airflow and some pictures."""
    (tmp_path / "home").mkdir()
    for name in ("airflow.db", "new.db"):
        shutil.copy(database, tmp_path / "home" / name)
    for number, name in enumerate(PICTURES):
        picture = tmp_path / "data" / name
        picture.parent.mkdir(parents=True, exist_ok=True)
        draw(picture, f"#2f6f{number:02x}")
    (tmp_path / "data/ipernity/manifest.csv").write_text("doc_id,file\n5412,boat.jpg\n")
    return tmp_path


def with_commands() -> list[Path]:
    return [page for page in PAGES if any(block.is_run for block in blocks_of(page))]


@pytest.mark.parametrize("page", with_commands(), ids=lambda page: page.stem)
def test_a_page_does_what_it_says(page: Path, folder: Path, request: pytest.FixtureRequest) -> None:
    settings: dict[str, str] = {}
    if any(
        bucket in block.code for block in blocks_of(page) if block.dag_ids for bucket in BUCKETS
    ):
        settings = buckets(request.getfixturevalue("storage"), folder)
    with running_sandbox(settings={"processing_seconds": 0.2}) as sandbox:
        connection = connection_json(sandbox)
        settings |= {"AIRFLOW_CONN_IPERNITY_DEFAULT": connection, "SANDBOX_CONNECTION": connection}
        env = airflow_env(folder / "home", folder / "dags") | settings
        port = free_port() if starts_a_sandbox(blocks_of(page)) else int(sandbox.rpartition(":")[2])
        wrong = PageRun(page, folder, port).run(env, seconds=240)
    assert not wrong, wrong


def buckets(storage: Storage, folder: Path) -> dict[str, str]:
    """Make the buckets that the pages name, with a picture; return the connections to them."""
    for bucket in BUCKETS:
        storage.client().create_bucket(Bucket=bucket)
    storage.client().upload_file(folder / "data/pictures/boat.jpg", "my-bucket", "photos/boat.jpg")
    return {f"AIRFLOW_CONN_{conn_id.upper()}": storage.connection() for conn_id in BUCKETS.values()}


def left_out() -> Iterator[Block]:
    for page in PAGES:
        yield from (block for block in blocks_of(page) if block.mark == "not run")


def test_only_what_a_machine_cannot_do_alone_is_not_run_and_the_page_says_why() -> None:
    cannot = re.compile(r"^(make|pip install|airflow ipernity authorize) ?", re.MULTILINE)
    assert all(block.words and cannot.search(block.code) for block in left_out())
    assert len(list(left_out())) <= 21


def test_airflow_knows_the_options_of_commands_that_are_not_run() -> None:
    commands = [
        shlex.split(line, comments=True)
        for block in left_out()
        for line in block.code.replace("\\\n", " ").splitlines()
        if line.startswith("airflow ")
    ]
    assert len(commands) > 5
    for command in commands:
        get_parser().parse_args(command[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_is_copied_is_what_is_run(page: Path) -> None:
    text, blocks = page.read_text(encoding="utf-8"), blocks_of(page)
    fences = re.findall(r"^ *```(\w+)", text, re.MULTILINE)
    assert len(blocks) == len(fences)
    assert len(
        re.findall(r"^ *<!-- (?:not run|before|in the background)", text, re.MULTILINE)
    ) == sum(block.mark != "" for block in blocks)
    assert all(above.is_run for above, block in pairwise(blocks) if block.title == "output")
    assert set(fences) <= {"bash", "python", "text", "json"}
    assert not re.search(r"^ *\$ ", text, re.MULTILINE)
