"""The report of a batch, on this machine and on object storage."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ipernity_provider.hooks.files import as_path
from ipernity_provider.replacement.batch import Item, write_report
from ipernity_provider.replacement.batch.item import Fate
from ipernity_provider.replacement.batch.report import (
    BatchFailed,
    ReportNotWritten,
    ReportNotYetWritten,
    in_short,
    require_well,
)
from ipernity_provider.replacement.manifest import read_text
from scripts.rig import free_port
from tests.object_storage import Bucket, connection_to

ITEMS = [Item("5412", "s3://media@b/boat.jpg?X-Amz-Signature=s1gned", None, 0, "line 2")]


def test_a_report_is_stored_whole_without_what_is_secret(bucket: Bucket) -> None:
    write_report(as_path(f"s3://media@{bucket.name}/2026/report.jsonl"), ITEMS)
    (row,) = map(json.loads, bucket.get("2026/report.jsonl").splitlines())
    assert (row["doc_id"], row["outcome"], row["error"]) == ("5412", "planned", None)
    assert row["file"] == "s3://media@b/boat.jpg?..."


def test_no_bucket_is_made_for_a_report(bucket: Bucket) -> None:
    mistyped = f"{bucket.name}-mistyped"
    with pytest.raises(
        ReportNotWritten, match=rf"^The report s3://.*{mistyped}/report\.jsonl does not exist"
    ):
        write_report(as_path(f"s3://media@{mistyped}/report.jsonl"), ITEMS)
    buckets = {known["Name"] for known in bucket.storage.client().list_buckets()["Buckets"]}
    assert mistyped not in buckets


def test_a_storage_that_cannot_be_reached_may_be_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_CLOSED", connection_to(f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(ReportNotYetWritten, match="its storage cannot be reached"):
        write_report(as_path("s3://closed@media/report.jsonl"), ITEMS)


def test_a_report_takes_the_place_of_an_earlier_one_in_one_step(tmp_path: Path) -> None:
    report = tmp_path / "reports" / "today.jsonl"
    write_report(report, ITEMS)
    write_report(report, ITEMS[:0])
    assert report.read_bytes() == b""
    assert [file.name for file in report.parent.iterdir()] == ["today.jsonl"]


def test_two_tasks_may_write_the_same_report(tmp_path: Path) -> None:
    report = tmp_path / "report.jsonl"
    items = [Item(str(number), "/data/boat.jpg", None, number, f"line {number}") for number in range(500)]

    def write(_: int) -> int:
        write_report(report, items)
        return len([json.loads(row) for row in report.read_text().splitlines()])

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(write, range(40))) == {500}
    assert [file.name for file in tmp_path.iterdir()] == ["report.jsonl"]


def test_names_come_back_from_a_report_as_they_were_and_nothing_in_it_moves_a_terminal(
    tmp_path: Path,
) -> None:
    name = "/data/Fähre \u2028\u202e\x1b[31m \U000e0001.jpg"
    write_report(tmp_path / "report.jsonl", [Item("5412", name, "b\x07oat.jpg", 0, "item 1")])
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
    write_report(link, ITEMS)
    assert link.is_symlink()
    assert json.loads(file.read_text())["doc_id"] == "5412"
    assert list((tmp_path / "kept").iterdir()) == [file]


def test_a_link_to_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    link = tmp_path / "report.jsonl"
    link.symlink_to("today.jsonl")
    write_report(link, ITEMS)
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
    write_report(report, ITEMS)
    after = report.stat()
    assert after.st_ino != before.st_ino
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_a_new_file_has_the_mode_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    write_report(tmp_path / "report.jsonl", ITEMS)
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
        write_report(path, ITEMS)
    assert str(caught.value) == (
        f"The report {path} is a named pipe (FIFO); only a regular file can be written."
    )
    assert pipe.is_fifo()
    assert {file.name for file in tmp_path.iterdir()} == {"pipe", path.name}


def test_a_folder_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(ReportNotWritten, match="is a folder"):
        write_report(tmp_path, ITEMS)
    assert list(tmp_path.parent.glob(".ipernity-*")) == []


def test_a_failed_batch_names_ten_documents_a_line_each_and_then_its_report() -> None:
    refused: list[tuple[Fate, str]] = [("refused", "It is empty.")]
    endings: list[tuple[Fate, str]] = [("replaced", ""), *refused * 12]
    endings.append(("not_sent", "Not sent: no volume is left."))
    items = [
        Item(str(5400 + n), f"{n}.jpg", None, n, f"line {n + 2}", fate=fate, error=error)
        for n, (fate, error) in enumerate(endings)
    ]
    with pytest.raises(BatchFailed) as caught:
        require_well(items, "no volume is left", "/data/report.jsonl")
    head, why, *named, more, report, todo = str(caught.value).split("\n")
    assert head == "Of 14 replacements: 1 replaced, 12 refused, 1 not_sent."
    assert why == "Nothing more was sent, because no volume is left."
    assert named == [f"line {number + 2}, document {5400 + number}: It is empty." for number in range(1, 11)]
    assert (more, report) == ("and 2 more", "The report of every document: /data/report.jsonl")
    assert todo.startswith("Clear the task")
    assert in_short(items[:1], report="/r.jsonl") == (
        "Of 1 replacement: 1 replaced.\nThe report of every document: /r.jsonl"
    )
