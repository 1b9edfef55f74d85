"""The report of a batch, on this machine and on object storage."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ipernity_provider.api.errors import ServiceDown
from ipernity_provider.bulk.manifest import read_text
from ipernity_provider.bulk.report import (
    BulkFailed,
    ReportNotWritten,
    ReportNotYetWritten,
    describe,
    require_success,
    write_report,
)
from ipernity_provider.bulk.rows import Row, Status
from ipernity_provider.bulk.scheduler import Stop
from ipernity_provider.hooks.files import as_path
from scripts.rig import free_port
from tests.object_storage import Bucket, connection_to

ROWS = [Row(doc_id="5412", file="s3://media@b/boat.jpg?X-Amz-Signature=s1gned", where="line 2")]


def row(number: int, status: Status = "replaced", error: str = "") -> Row:
    return Row(
        doc_id=str(number),
        file="/data/boat.jpg",
        where=f"line {number}",
        status=status,
        error=error,
    )


def test_a_report_is_stored_whole_without_what_is_secret(bucket: Bucket) -> None:
    write_report(as_path(f"s3://media@{bucket.name}/2026/report.jsonl"), ROWS)
    (found,) = map(json.loads, bucket.get("2026/report.jsonl").splitlines())
    assert (found["doc_id"], found["outcome"], found["error"]) == ("5412", "planned", None)
    assert found["file"] == "s3://media@b/boat.jpg?..."


def test_no_bucket_is_made_for_a_report(bucket: Bucket) -> None:
    mistyped = f"{bucket.name}-mistyped"
    with pytest.raises(
        ReportNotWritten, match=rf"^The report s3://.*{mistyped}/report\.jsonl does not exist"
    ):
        write_report(as_path(f"s3://media@{mistyped}/report.jsonl"), ROWS)
    buckets = {known["Name"] for known in bucket.storage.client().list_buckets()["Buckets"]}
    assert mistyped not in buckets


def test_a_storage_that_cannot_be_reached_may_be_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_CLOSED", connection_to(f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(ReportNotYetWritten, match="cannot be written"):
        write_report(as_path("s3://closed@media/report.jsonl"), ROWS)


def test_a_report_takes_the_place_of_an_earlier_one_in_one_step(tmp_path: Path) -> None:
    report = tmp_path / "reports" / "today.jsonl"
    write_report(report, ROWS)
    write_report(report, ROWS[:0])
    assert report.read_bytes() == b""
    assert [file.name for file in report.parent.iterdir()] == ["today.jsonl"]


def test_two_tasks_may_write_the_same_report(tmp_path: Path) -> None:
    report = tmp_path / "report.jsonl"
    rows = [row(number) for number in range(500)]

    def write(_: int) -> int:
        write_report(report, rows)
        return len([json.loads(line) for line in report.read_text().splitlines()])

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(write, range(40))) == {500}
    assert [file.name for file in tmp_path.iterdir()] == ["report.jsonl"]


def test_names_come_back_from_a_report_as_they_were_and_nothing_in_it_moves_a_terminal(
    tmp_path: Path,
) -> None:
    name = "/data/Fähre \u2028\u202e\x1b[31m \U000e0001.jpg"
    write_report(
        tmp_path / "report.jsonl",
        [Row(doc_id="5412", file=name, filename="b\x07oat.jpg", where="item 1")],
    )
    text = (tmp_path / "report.jsonl").read_text()
    assert text.count("\n") == 1
    assert text.rstrip("\n").isprintable()
    (line,) = read_text(text.encode(), "jsonl", "report.jsonl")
    assert (line.doc_id, line.file, line.filename) == ("5412", name, "b\x07oat.jpg")


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    file, link = tmp_path / "kept" / "today.jsonl", tmp_path / "report.jsonl"
    file.write_text("of yesterday")
    link.symlink_to("kept/today.jsonl")
    write_report(link, ROWS)
    assert link.is_symlink()
    assert json.loads(file.read_text())["doc_id"] == "5412"
    assert list((tmp_path / "kept").iterdir()) == [file]


def test_a_link_to_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    link = tmp_path / "report.jsonl"
    link.symlink_to("today.jsonl")
    write_report(link, ROWS)
    assert link.is_symlink()
    assert (tmp_path / "today.jsonl").is_file()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o400])
def test_a_file_keeps_its_mode_and_its_owner(tmp_path: Path, mode: int) -> None:
    report = tmp_path / "report.jsonl"
    report.write_text("of yesterday")
    if os.geteuid() == 0:
        os.chown(report, 12345, 54321)
    report.chmod(mode)
    before = report.stat()
    write_report(report, ROWS)
    after = report.stat()
    assert after.st_ino != before.st_ino
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )


def test_a_new_file_has_the_mode_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    write_report(tmp_path / "report.jsonl", ROWS)
    assert (tmp_path / "report.jsonl").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.timeout(20)
@pytest.mark.parametrize("linked", [False, True])
def test_what_is_not_a_regular_file_is_left_alone(tmp_path: Path, linked: bool) -> None:
    pipe = path = tmp_path / "pipe"
    os.mkfifo(pipe)
    if linked:
        path = tmp_path / "report.jsonl"
        path.symlink_to(pipe)
    with pytest.raises(ReportNotWritten) as caught:
        write_report(path, ROWS)
    assert str(caught.value) == (
        f"The report {path} is a named pipe (FIFO); only a regular file can be written."
    )
    assert pipe.is_fifo()
    assert {file.name for file in tmp_path.iterdir()} == {"pipe", path.name}


def test_a_folder_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(ReportNotWritten, match="is a folder"):
        write_report(tmp_path, ROWS)
    assert list(tmp_path.parent.glob(".ipernity-*")) == []


def test_what_went_wrong_is_described_in_lines() -> None:
    rows = [
        row(2),
        row(3, "failed", "The service could not use it."),
        *[row(number, "not_sent", "Not sent.") for number in range(4, 20)],
    ]
    stop = Stop("failed", "line 3, document 3, could not be replaced")
    assert describe(rows, stop, "/data/report.jsonl").split("\n") == [
        "Of 18 replacements: 1 replaced, 1 failed, 16 not_sent.",
        "Nothing more was sent, because line 3, document 3, could not be replaced.",
        "line 3, document 3: The service could not use it.",
        "The report of every document: /data/report.jsonl",
    ]
    assert describe(rows[2:]).split("\n")[-2:] == [
        "and 6 more",
        "Set report_to for a report of every document.",
    ]
    assert describe([row(2)]) == "Of 1 replacement: 1 replaced."
    assert describe([]) == "Of 0 replacements: none."


def test_a_later_try_is_made_only_where_it_may_help() -> None:
    down = ServiceDown("The service is down.")
    require_success([row(2), row(3, "unchanged")], None, None, None)
    require_success([row(2, "new_document")], None, None, None)  # one that may be kept
    with pytest.raises(ServiceDown):
        require_success([row(2), row(3, "not_sent", "down")], None, down, None)
    with pytest.raises(ServiceDown):
        require_success([row(2)], None, down, None)
    with pytest.raises(BulkFailed, match="1 new_document"):
        require_success([row(2, "new_document", "It created 10001 instead.")], None, down, None)
    with pytest.raises(BulkFailed, match="1 sent"):
        require_success([row(2, "sent")], None, None, None)


def test_relative_files_are_named_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [
        Row(doc_id="1", file="boat.jpg", where="line 2", backup="kept/boat.jpg"),
        Row(doc_id="2", file="~/boat.jpg", where="line 3", backup="file:///kept/boat.jpg"),
    ]
    write_report(tmp_path / "report.jsonl", rows)
    found = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]
    assert [(each["file"], each["backup"]) for each in found] == [
        (f"{tmp_path}/boat.jpg", f"{tmp_path}/kept/boat.jpg"),
        ("~/boat.jpg", "file:///kept/boat.jpg"),
    ]
