"""A report is shown; any other file that a task names is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ipernity_provider.bulk.report import write_report
from ipernity_provider.bulk.rows import Row
from ipernity_provider.plugins.places import NotShown, view_roots
from ipernity_provider.plugins.reports import load_report, parse_report

ROWS = [
    Row(
        doc_id="5412", file="/data/boat.jpg", where="row 1", status="replaced", bytes=9, proof="md5"
    ),
    Row(doc_id="5413", file="/data/x.jpg", where="row 2", status="failed", error="It is gone."),
    Row(doc_id="5414", file="/data/y.jpg", where="row 3", status="replaced", backup="/b/5414.jpg"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder that may be read."""
    folder = tmp_path / "readable"
    folder.mkdir()
    monkeypatch.setenv("AIRFLOW__IPERNITY__VIEW_ROOTS", f"{folder}, s3://media/reports")
    return folder


def test_what_the_package_has_written_is_read_whole(folder: Path) -> None:
    write_report(folder / "report.jsonl", ROWS)
    report = load_report(str(folder / "report.jsonl"))
    assert [row.doc_id for row in report.rows] == ["5412", "5413", "5414"]
    assert report.counts == {"replaced": 2, "failed": 1}
    assert (report.rows[0].bytes, report.rows[0].proof) == (9, "md5")
    assert report.rows[1].error == "It is gone."
    assert report.rows[2].backup == "/b/5414.jpg"
    assert report.row_of("5413") is report.rows[1]
    assert report.row_of("1") is None


def test_of_a_long_report_the_first_rows_are_shown_and_all_are_counted() -> None:
    line = json.dumps(
        dict.fromkeys(("doc_id", "file", "where", "proof", "error")) | {"outcome": "sent"}
    )
    report = parse_report(f"{line}\n".encode() * 6000)
    assert (len(report.rows), report.total, report.counts) == (5000, 6000, {"sent": 6000})


@pytest.mark.parametrize(
    "data",
    [
        b"root:x:0:0:root:/root:/bin/bash\n",
        b"[core]\nfernet_key = secret\n",
        b'{"password": "secret"}\n',
        b"\xff\xd8\xff\xe0",
        b"[" * 100_000,
        b'{"doc_id": 1, "file": 2, "where": 3, "proof": 4, "error": 5, "outcome": "<b>"}',
        b'{"doc_id": 1, "file": 2, "where": 3, "proof": 4, "error": 5, "outcome": {}}',
    ],
)
def test_nothing_of_another_file_is_shown(data: bytes) -> None:
    with pytest.raises(NotShown, match="It is not a report") as error:
        parse_report(data)
    assert "secret" not in str(error.value)


def test_a_file_outside_the_named_folders_is_not_read(folder: Path, tmp_path: Path) -> None:
    write_report(tmp_path / "report.jsonl", ROWS)
    (folder / "link.jsonl").symlink_to(tmp_path / "report.jsonl")
    for place in ("report.jsonl", "readable/../report.jsonl", "readable/link.jsonl"):
        with pytest.raises(NotShown, match="outside the folders that the API server may read"):
            load_report(str(tmp_path / place))


def test_without_named_folders_nothing_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_report(tmp_path / "report.jsonl", ROWS)
    for named in ("", " , "):
        monkeypatch.setenv("AIRFLOW__IPERNITY__VIEW_ROOTS", named)
        assert view_roots() == ()
        with pytest.raises(NotShown, match=r"\[ipernity\] view_roots"):
            load_report(str(tmp_path / "report.jsonl"))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("missing.jsonl", "does not exist"),
        ("below", "is a folder"),
        ("nul\0l", "cannot be read"),
        ("long.jsonl", "longer than 16 MiB"),
    ],
)
def test_a_report_that_cannot_be_read_says_why(folder: Path, name: str, why: str) -> None:
    (folder / "below").mkdir()
    with (folder / "long.jsonl").open("wb") as long:
        long.truncate((16 << 20) + 1)
    with pytest.raises(NotShown, match=why):
        load_report(f"{folder}/{name}")


def test_a_storage_that_is_not_known_here_says_so(folder: Path) -> None:
    with pytest.raises(NotShown, match="The API server cannot read it"):
        load_report("gopher://media/reports/report.jsonl")
