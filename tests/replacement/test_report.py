"""The report of a batch, on this machine and on object storage."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ipernity_provider.hooks.files import as_path
from ipernity_provider.replacement.batch import Item, write_report
from ipernity_provider.replacement.batch.report import ReportNotWritten, ReportNotYetWritten
from scripts.rig import free_port
from tests.object_storage import Bucket, connection_to

ITEMS = [Item("5412", "s3://media@b/boat.jpg?X-Amz-Signature=s1gned", None, 0, "line 2")]


def test_a_report_is_stored_whole_without_what_is_secret(bucket: Bucket) -> None:
    write_report(as_path(f"s3://media@{bucket.name}/2026/report.jsonl"), ITEMS)
    (row,) = map(json.loads, bucket.get("2026/report.jsonl").splitlines())
    assert (row["id"], row["outcome"], row["error"]) == ("5412", "planned", None)
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
