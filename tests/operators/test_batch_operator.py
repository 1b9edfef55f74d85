"""The batch operator as Airflow calls it; the service is real, the context minimal."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Context

from ipernity_provider.api.errors import RateLimited, ServiceDown, TransientError
from ipernity_provider.operators.ipernity import ReplaceFilesOperator
from ipernity_provider.replacement.errors import Cancelled, NotFinished
from ipernity_provider.triggers.ipernity import TicketTrigger
from scripts.rig import wait_for
from tests.airflow_exceptions import AirflowFailException, TaskDeferred
from tests.conftest import Connect, Service, draw
from tests.operators.test_operator import context

COUNT = 6


@pytest.fixture(autouse=True)
def connection(connect: Connect) -> None:
    connect(resend_grace=1.0)


@pytest.fixture
def rows(service: Service, tmp_path: Path) -> list[dict[str, str]]:
    doc_ids = service.add_documents(
        draw(tmp_path / "old.png", f"#{number:06x}") for number in range(COUNT)
    )
    files = [draw(tmp_path / f"new{number}.png", f"#ff{number:04x}") for number in range(COUNT)]
    return [
        {"doc_id": doc_id, "file": str(file)} for doc_id, file in zip(doc_ids, files, strict=True)
    ]


def manifest(rows: list[dict[str, str]], folder: Path, kind: str) -> Any:
    if kind == "list":
        return rows
    path = folder / f"manifest.{kind}"
    if kind == "csv":
        with path.open("w", newline="") as out:
            writer = csv.DictWriter(out, ["doc_id", "file"])
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text(json.dumps(rows) if kind == "json" else "\n".join(map(json.dumps, rows)))
    return path if kind == "csv" else f"file://{path}"


def operator(given: Any, **options: Any) -> ReplaceFilesOperator:
    options = {"poll_interval": 0.2, "timeout": 20, **options}
    return ReplaceFilesOperator(task_id="replace", manifest=given, **options)


def resumption(deferred: TaskDeferred) -> dict[str, Any]:
    """An event that says no more than to look, with the state of the task's trigger."""
    state = deferred.trigger.serialize()[1]["state"]
    return dict(json.loads(json.dumps({"status": "settled", "tickets": [], "state": state})))


def accepted(service: Service) -> list[str]:
    return sorted(
        entry["doc_id"] for entry in service.ledger() if entry["method"] == "upload.replace"
    )


@pytest.mark.parametrize("kind", ["csv", "json", "jsonl", "list"])
def test_a_manifest_is_named_in_many_ways(
    service: Service, rows: list[dict[str, str]], tmp_path: Path, kind: str
) -> None:
    report = tmp_path / "report.jsonl"
    result = operator(manifest(rows, tmp_path, kind), report_to=str(report)).execute(context())
    assert (result["total"], result["replaced"], result["report"]) == (COUNT, COUNT, str(report))
    assert accepted(service) == sorted(row["doc_id"] for row in rows)
    assert len(report.read_text().splitlines()) == COUNT


def test_relative_files_lie_beside_the_manifest(
    service: Service, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    beside = [{**row, "file": Path(row["file"]).name} for row in rows]
    assert operator(manifest(beside, tmp_path, "json")).execute(context())["replaced"] == COUNT


def test_all_errors_of_a_manifest_are_told_before_anything_is_sent(
    service: Service, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    bad = [rows[0], {**rows[1], "doc_id": "boat"}, rows[0], {**rows[2], "file": ""}]
    with pytest.raises(AirflowFailException) as caught:
        operator(manifest(bad, tmp_path, "csv")).execute(context())
    told = str(caught.value)
    for place in ("line 3", "line 4", "line 5"):
        assert place in told
    assert accepted(service) == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("/no/such/manifest.csv", "does not exist"),
        ("/tmp", "must end in one of"),
        ("", "No file is named"),
        ([], "no"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_one_sentence(
    service: Service, given: Any, words: str
) -> None:
    with pytest.raises(AirflowFailException, match=words):
        operator(given).execute(context())
    assert service.calls() == {}


def test_a_report_that_cannot_be_written_is_known_before_anything_is_sent(
    service: Service, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        AirflowFailException,
        match=(
            r"The report .*/report\.jsonl cannot be written: something that is not a folder stands "
            r"in its place\."
        ),
    ):
        operator(rows, report_to=str(tmp_path / "file" / "report.jsonl")).execute(context())
    assert accepted(service) == []


@pytest.mark.timeout(60)
def test_a_report_that_is_not_a_regular_file_is_known_before_anything_is_sent(
    service: Service, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "report.jsonl").symlink_to("pipe")
    for place, what in [
        (tmp_path / "report.jsonl", "a named pipe (FIFO)"),
        (Path("/dev/null"), "a device"),
    ]:
        with pytest.raises(AirflowFailException) as caught:
            operator(rows, report_to=place).execute(context())
        assert f"The report {place} is {what}; only a regular file can be written." in str(
            caught.value
        )
    assert accepted(service) == []


@pytest.mark.timeout(60)
def test_a_manifest_that_is_not_a_regular_file(service: Service, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    for name, what in [("pipe.csv", "a named pipe (FIFO)"), ("zero.csv", "a device")]:
        with pytest.raises(
            AirflowFailException, match=r"only a regular file can be read\. Nothing"
        ) as caught:
            operator(tmp_path / name).execute(context())
        assert f"The manifest {tmp_path / name} is {what};" in str(caught.value)
    assert service.calls() == {}


def test_documents_are_named_by_number_or_page(
    service: Service, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    plain = [row["doc_id"] for row in rows]
    spelt: list[Any] = [
        f"000{plain[0]}",
        f"{plain[1]}.0",
        f"https://www.ipernity.com/doc/1234/{plain[2]}/in/album/9",
        f"{service.url}/doc/superman/{plain[3]}?lg=en",
        f" {plain[4]} ",
        plain[5],
    ]
    as_csv = manifest(
        [{**row, "doc_id": doc_id} for row, doc_id in zip(rows, spelt, strict=True)],
        tmp_path,
        "csv",
    )
    report = tmp_path / "report.jsonl"
    operator(as_csv, report_to=report).execute(context())
    assert accepted(service) == sorted(plain)
    assert [row["doc_id"] for row in read_report(report)] == plain


def test_one_document_in_two_spellings_is_listed_twice(
    service: Service, rows: list[dict[str, str]]
) -> None:
    again = {**rows[0], "doc_id": f"{service.url}/doc/1234/{rows[0]['doc_id']}"}
    with pytest.raises(
        AirflowFailException, match=f"document {rows[0]['doc_id']} is listed twice, first at item 1"
    ):
        operator([*rows, again]).execute(context())
    assert accepted(service) == []


# -- the report as a manifest ----------------------------------------------------------------------


def read_report(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def checksums(service: Service, rows: Sequence[dict[str, Any]]) -> list[str | None]:
    with service.client() as client:
        return [client.get_document(str(row["doc_id"])).md5 for row in rows]


def test_a_report_makes_a_manifest_that_restores_the_originals(
    service: Service, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    report = tmp_path / "report.jsonl"
    originals = checksums(service, rows)
    operator(rows, report_to=report, backup_to=tmp_path / "kept").execute(context())
    told = read_report(report)
    assert [row["md5_before"] for row in told] == originals
    assert checksums(service, rows) == [row["md5_after"] for row in told] != originals
    restore = [{"doc_id": row["doc_id"], "file": row["backup"]} for row in told]
    assert operator(manifest(restore, tmp_path, "csv")).execute(context())["replaced"] == COUNT
    assert checksums(service, rows) == originals


def test_the_failed_rows_of_a_report_are_a_manifest(
    service: Service, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    report = tmp_path / "report.jsonl"
    file = Path(rows[2]["file"])
    away = file.rename(tmp_path / "away.png")
    rows[2]["filename"] = "third.png"
    with pytest.raises(AirflowFailException, match="1 refused"):
        operator(rows, report_to=report, on_error="continue").execute(context())
    failed = [row for row in read_report(report) if row["outcome"] not in {"replaced", "unchanged"}]
    assert [row["doc_id"] for row in failed] == [rows[2]["doc_id"]]
    away.rename(file)
    again = tmp_path / "again.jsonl"
    again.write_text("".join(json.dumps(row) + "\n" for row in failed))
    assert operator(again).execute(context())["replaced"] == 1
    assert accepted(service) == sorted(row["doc_id"] for row in rows)
    assert service.ledger()[-1]["filename"] == "third.png"


def test_relative_files_and_backups_are_found_from_a_report_that_lies_elsewhere(
    service: Service, rows: list[dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    report = tmp_path / "reports" / "report.jsonl"
    relative = [{**row, "file": Path(row["file"]).name} for row in rows]
    originals = checksums(service, rows)
    operator(relative, report_to=report, backup_to="kept").execute(context())
    monkeypatch.chdir("/")
    assert operator(report).execute(context())["unchanged"] == COUNT
    restore = [{"doc_id": row["doc_id"], "file": row["backup"]} for row in read_report(report)]
    operator(manifest(restore, report.parent, "csv")).execute(context())
    assert checksums(service, rows) == originals


def test_a_whole_report_is_a_manifest(
    service: Service, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    report = tmp_path / "report.jsonl"
    operator(rows, report_to=report).execute(context())
    assert operator(report).execute(context())["unchanged"] == COUNT
    assert len(accepted(service)) == COUNT


def test_what_waits_shows_its_ticket_and_a_retry_knows_what_was_before(
    service: Service, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    report, there = tmp_path / "report.jsonl", context()
    originals = checksums(service, rows)
    service.set(processing_seconds=3)
    task = operator(rows, report_to=report, backup_to=tmp_path / "kept", timeout=0.5)
    with pytest.raises(NotFinished):
        task.execute(there)
    sent = [row for row in read_report(report) if row["outcome"] == "sent"]
    assert sent
    by_document = {entry["doc_id"]: entry["ticket"] for entry in service.ledger()}
    assert {row["doc_id"]: row["ticket"] for row in sent}.items() <= by_document.items()
    service.set(processing_seconds=0.2)
    operator(rows, report_to=report, backup_to=tmp_path / "kept").execute(there)
    told = read_report(report)
    assert [row["outcome"] for row in told] == ["replaced"] * COUNT
    assert [row["md5_before"] for row in told] == originals
    kept = [hashlib.md5(Path(row["backup"]).read_bytes()).hexdigest() for row in told]
    assert kept == originals
    assert len(list((tmp_path / "kept").iterdir())) == COUNT


@pytest.mark.parametrize("on_error", ["stop", "continue"])
def test_a_row_with_a_folder_is_an_error_of_the_manifest(
    service: Service, rows: list[dict[str, str]], tmp_path: Path, on_error: Any
) -> None:
    (tmp_path / "2026").mkdir()
    bad = [
        rows[0],
        {**rows[1], "file": "2026"},
        {**rows[2], "file": "s3://bucket/2026/"},
        {**rows[3], "doc_id": "x"},
    ]
    with pytest.raises(AirflowFailException) as caught:
        operator(manifest(bad, tmp_path, "csv"), on_error=on_error).execute(context())
    told = str(caught.value)
    assert "manifest.csv has 3 errors:" in told
    assert f"line 3: {tmp_path}/2026 is a folder; a replacement needs one file" in told
    assert "line 4: s3://bucket/2026/ is a folder" in told
    assert "line 5: doc_id is 'x'" in told
    assert accepted(service) == []


def test_what_mapped_tasks_return_is_a_manifest(
    service: Service, rows: list[dict[str, str]]
) -> None:
    class Lazy(Sequence[Any]):
        """Airflow gives a mapped task's results as a sequence that is no list."""

        def __len__(self) -> int:
            return len(rows)

        def __getitem__(self, index: Any) -> Any:
            return rows[index]

    assert operator(Lazy()).execute(context())["replaced"] == COUNT


def test_a_report_overwrites_neither_the_manifest_nor_a_file(
    service: Service, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    given = manifest(rows, tmp_path, "csv")
    before = given.read_bytes()
    for report in (given, rows[1]["file"]):
        with pytest.raises(
            AirflowFailException, match="would overwrite the manifest or one of its files"
        ):
            operator(given, report_to=report).execute(context())
    assert given.read_bytes() == before
    assert accepted(service) == []


def lose_the_report_of(folder: Path) -> threading.Thread:
    """After the first report, that follows the plan, no other can be written."""

    def lose() -> None:
        wait_for("the report", (folder / "report.jsonl").exists, 20, every=0.02)
        shutil.rmtree(folder)
        folder.touch()

    thread = threading.Thread(target=lose)
    thread.start()
    return thread


def test_a_report_that_fails_at_the_end_hides_no_trouble(
    service: Service, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    folder = tmp_path / "reports"
    task = operator(rows, report_to=folder / "report.jsonl", timeout=2.0, poll_interval=0.2)
    service.set(processing_seconds=600)
    losing = lose_the_report_of(folder)
    with pytest.raises(NotFinished):
        task.execute(context())
    losing.join()


def test_a_report_that_fails_at_the_end_hides_no_new_document(
    service: Service, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    folder = tmp_path / "reports"
    service.set(replace_mode="new_document", processing_seconds=1.5)
    losing = lose_the_report_of(folder)
    with pytest.raises(AirflowFailException, match="The service created document") as caught:
        operator(rows, report_to=folder / "report.jsonl").execute(context())
    losing.join()
    assert "All of them are in" not in str(caught.value)
    assert len(accepted(service)) == 1


def test_a_report_that_cannot_be_written_at_the_end_fails_the_task(
    service: Service, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    folder = tmp_path / "reports"
    service.set(processing_seconds=1.0)
    losing = lose_the_report_of(folder)
    with pytest.raises(AirflowFailException, match=r"^The report .*report\.jsonl "):
        operator(rows[:1], report_to=folder / "report.jsonl").execute(context())
    losing.join()


@pytest.mark.parametrize("spelling", ["roundabout", "link", "hard link"])
def test_a_report_overwrites_no_file_by_another_name_for_it(
    service: Service, rows: list[dict[str, str]], tmp_path: Path, spelling: str
) -> None:
    file = Path(rows[1]["file"])
    before = file.read_bytes()
    (tmp_path / "x").mkdir()
    report = (
        tmp_path / "x" / ".." / file.name if spelling == "roundabout" else tmp_path / "report.jsonl"
    )
    if spelling == "link":
        report.symlink_to(file)
    elif spelling == "hard link":
        report.hardlink_to(file)
    with pytest.raises(
        AirflowFailException, match="would overwrite the manifest or one of its files"
    ):
        operator(rows, report_to=str(report)).execute(context())
    assert file.read_bytes() == before
    assert accepted(service) == []


def test_being_killed_breaks_uploads_off(
    service: Service, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    rows = rows[:2]
    for row in rows:
        os.truncate(row["file"], 64_000_000)
    service.set(receive_bytes_per_second=4_000_000)
    around, report = context(), tmp_path / "report.jsonl"
    task = operator(rows, report_to=report)
    service.while_sending(task.on_kill)
    with pytest.raises(Cancelled):
        task.execute(around)
    assert accepted(service) == []
    assert {json.loads(row)["outcome"] for row in report.read_text().splitlines()} == {"not_sent"}
    service.set(receive_bytes_per_second=None)
    assert operator(rows).execute(around)["replaced"] == 2
    assert accepted(service) == sorted(row["doc_id"] for row in rows)


def test_a_dry_run_plans_and_reports_and_sends_nothing(
    service: Service, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    rows[0]["doc_id"] = "999999"
    result = operator(rows, dry_run=True, report_to=tmp_path / "report.jsonl").execute(context())
    assert (result["planned"], result["refused"]) == (COUNT - 1, 1)
    assert accepted(service) == []


def test_what_fails_is_told_in_the_task_and_in_the_report(
    service: Service, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    rows[2]["doc_id"] = "999999"
    report = tmp_path / "report.jsonl"
    with pytest.raises(
        AirflowFailException, match="1 of 6 cannot be replaced, so nothing was sent"
    ):
        operator(rows, report_to=report).execute(context())
    told = [json.loads(row) for row in report.read_text().splitlines()]
    assert [row["outcome"] for row in told] == ["planned", "planned", "refused", *["planned"] * 3]
    with pytest.raises(AirflowFailException, match="Of 6 replacements: 5 replaced, 1 refused"):
        operator(rows, report_to=report, on_error="continue").execute(context())
    told = [json.loads(row) for row in report.read_text().splitlines()]
    assert "Document not found" in told[2]["error"]
    assert len(accepted(service)) == COUNT - 1


def test_it_waits_in_the_triggerer_and_goes_on_from_its_journal(
    service: Service, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    report = tmp_path / "report.jsonl"
    around: Context = context()
    task = operator(rows, deferrable=True, report_to=report)
    service.set(processing_seconds=1.5)
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(around)
    trigger = deferred.value.trigger
    assert isinstance(trigger, TicketTrigger)
    assert deferred.value.method_name == "execute_complete"
    assert not deferred.value.kwargs  # `airflow dags test` drops them
    assert trigger.deadline == pytest.approx(time.time() + 20, abs=5)
    assert {json.loads(row)["outcome"] for row in report.read_text().splitlines()} <= {
        "sent",
        "replaced",
    }
    # Another process goes on: nothing but the journal is left of the first. The event says no more
    # than to look.
    event = resumption(deferred.value)
    time.sleep(1.7)
    result = operator(rows, deferrable=True, report_to=report).execute_complete(around, event)
    assert result["replaced"] == COUNT
    assert len(accepted(service)) == COUNT


def test_time_that_runs_out_is_told_and_a_retry_goes_on(
    service: Service, rows: list[dict[str, str]]
) -> None:
    around = context()
    service.set(processing_seconds=1.0)
    with pytest.raises(TaskDeferred):
        operator(rows, deferrable=True).execute(around)
    service.set(processing_seconds=600)
    with pytest.raises(
        NotFinished,
        match=r"not finished in time: \d\..*A retry continues.*The limit was the timeout of 0\.3 s",
    ):
        operator(rows[:1], timeout=0.3, if_unchanged="replace").execute(context())
    with pytest.raises(AirflowFailException, match="no good"):
        operator(rows).execute_complete(around, {"status": "failed", "message": "no good"})
    assert operator(rows).execute(around)["replaced"] == COUNT
    assert len(accepted(service)) == COUNT + 1


def test_what_was_left_to_a_later_try_is_not_forgotten_in_the_triggerer(
    service: Service, rows: list[dict[str, str]]
) -> None:
    """An unreadable file is the retry's, and an ended volume is told, whoever ends the waiting."""
    rows[0]["file"], rows[0]["filename"] = "/proc/self/mem", "boat.png"
    around = context()
    sizes = [Path(row["file"]).stat().st_size for row in rows]
    service.set(processing_seconds=2, quota_left_bytes=sum(sizes[1:4]) + 10)
    task = operator(rows, deferrable=True, on_error="continue")
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(around)
    time.sleep(2.2)
    event = resumption(deferred.value)
    assert event["state"]["stop"]["reason"] == "volume"
    with pytest.raises(TransientError, match="cannot be read"):
        operator(rows).execute_complete(around, event)
    event["state"]["last_error"] = None
    with pytest.raises(
        AirflowFailException, match=r"Nothing more was sent, because .* upload volume are left"
    ):
        operator(rows).execute_complete(around, event)
    assert len(accepted(service)) == 3


def test_patience_that_the_service_asks_for_outlasts_the_triggerer(
    service: Service, rows: list[dict[str, str]]
) -> None:
    around = context()
    service.set(
        faults=[{"method": "doc.get", "times": 1, "kind": "code:112"}], processing_seconds=2
    )
    with pytest.raises(TaskDeferred) as deferred:
        operator(rows[:3], deferrable=True, on_error="continue").execute(around)
    time.sleep(2.2)
    with pytest.raises(RateLimited) as caught:
        operator(rows[:3]).execute_complete(around, resumption(deferred.value))
    assert caught.value.code == 112  # what the retry policy waits an hour for


def test_invalid_tickets_cost_no_more_than_one_resumption(
    service: Service, rows: list[dict[str, str]]
) -> None:
    service.set(processing_seconds=1.0)
    with pytest.raises(TaskDeferred) as deferred:
        operator(rows, deferrable=True).execute(context())
    trigger = deferred.value.trigger
    assert isinstance(trigger, TicketTrigger)
    assert trigger.until_all
    assert trigger.serialize()[1]["until_all"] is True


def test_an_outage_is_left_to_airflows_retries(
    service: Service, rows: list[dict[str, str]]
) -> None:
    around = context()
    service.fail("code:503", "upload.replace", times=9)
    with pytest.raises(ServiceDown):
        operator(rows).execute(around)
    service.set(faults=[])
    assert operator(rows).execute(around)["replaced"] == COUNT
    assert accepted(service) == sorted(row["doc_id"] for row in rows)


def test_before_airflow_33_a_retry_sends_nothing(
    service: Service, rows: list[dict[str, str]]
) -> None:
    around = context()
    del around["task_state_store"]
    around["ti"].try_number = 2
    with pytest.raises(AirflowFailException, match=r"Before Airflow 3\.3"):
        operator(rows).execute(around)
    around["ti"].try_number = 1
    assert operator(rows, deferrable=True).execute(around)["replaced"] == COUNT
