"""Many replacements in one run, against the real service."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ipernity_provider.api.errors import CredentialError, SourceUnreadable, TransientError
from ipernity_provider.bulk.journal import BulkJournal
from ipernity_provider.bulk.manifest import ManifestLine
from ipernity_provider.bulk.report import BulkFailed, require_success, summarize_rows, write_report
from ipernity_provider.bulk.rows import Row
from ipernity_provider.bulk.runner import BulkReplacement
from ipernity_provider.replacement.errors import Cancelled, NotFinished, Refused
from scripts.rig import wait_for
from tests.bulk.rig import Ran, accepted, carried, make_lines, md5_of, options, sent_to
from tests.conftest import Service, draw


@pytest.fixture
def lines(service: Service, tmp_path: Path) -> list[ManifestLine]:
    return make_lines(service, tmp_path, 12)


def test_each_file_is_sent_once_and_proven(
    service: Service, lines: list[ManifestLine], tmp_path: Path
) -> None:
    ran = Ran(service, lines)
    assert ran.outcomes == {"replaced": 12}
    assert sorted(entry["doc_id"] for entry in accepted(service)) == sorted(
        line.doc_id for line in lines
    )
    assert carried(service, lines) == 12
    require_success(ran.rows, ran.bulk.stop, ran.bulk.last_error, None)
    report = tmp_path / "reports" / "today.jsonl"
    write_report(report, ran.rows)
    written = [json.loads(row) for row in report.read_text().splitlines()]
    assert [row["doc_id"] for row in written] == [line.doc_id for line in lines]
    assert [row["where"] for row in written] == [line.where for line in lines]
    for row, line in zip(written, lines, strict=True):
        new = md5_of(line.file)
        assert [row[column] for column in ("outcome", "md5", "md5_after", "proof")] == [
            "replaced",
            new,
            new,
            "md5",
        ]
        assert row["md5_before"] not in {None, new}
        assert row["ticket"]
        assert row["error"] is None
    summary = summarize_rows(ran.rows, str(report))
    assert (summary["total"], summary["replaced"], summary["failed"]) == (12, 12, 0)
    assert summary["bytes_sent"] == sum(Path(line.file).stat().st_size for line in lines)


def test_calls_are_shared(service: Service, lines: list[ManifestLine]) -> None:
    Ran(service, lines)
    calls = service.calls()
    assert (calls["account.getQuota"], calls["auth.checkToken"]) == (1, 1)
    assert calls["upload.replace"] == 12
    assert calls["doc.get"] == 3 * 12  # to inspect, before sending, to prove
    assert "doc.checkMD5" not in calls
    assert calls["upload.checkTickets"] < 12


def test_no_more_than_so_many_uploads_at_a_time(service: Service, tmp_path: Path) -> None:
    lines = make_lines(service, tmp_path, 6)
    for line in lines:
        with Path(line.file).open("ab") as out:
            out.write(os.urandom(200_000))
    service.set(receive_bytes_per_second=400_000)
    Ran(service, lines, max_parallel_uploads=2)
    times = [entry["at"] for entry in accepted(service)]
    # Half a second each: were they all sent at once, the last would come earlier.
    assert times[-1] - times[0] > 1.0


def test_a_new_document_of_the_canary_stops_all(
    service: Service, lines: list[ManifestLine]
) -> None:
    service.set(replace_mode="new_document")
    for on_error in ("stop", "continue"):
        ran = Ran(service, lines, on_error=on_error)
        assert ran.outcomes == {"new_document": 1, "not_sent": 11}
        assert len(accepted(service)) == (1 if on_error == "stop" else 2)
        assert ran.rows[0].new_doc_id
        with pytest.raises(BulkFailed, match="instead of replacing") as caught:
            require_success(ran.rows, ran.bulk.stop, ran.bulk.last_error, None)
        assert "Of 12 replacements: 1 new_document, 11 not_sent." in str(caught.value)


def test_new_documents_are_kept_where_that_is_wanted(
    service: Service, lines: list[ManifestLine]
) -> None:
    service.set(replace_mode="new_document")
    ran = Ran(service, lines, on_new_document="keep")
    assert ran.outcomes == {"new_document": 12}
    assert len(accepted(service)) == 12
    assert len({row.new_doc_id for row in ran.rows}) == 12
    require_success(ran.rows, ran.bulk.stop, ran.bulk.last_error, None)


def spoil(lines: list[ManifestLine], tmp_path: Path) -> list[ManifestLine]:
    """Three of them cannot be replaced."""
    empty = tmp_path / "empty.jpg"
    empty.touch()
    return [
        ManifestLine("999999", lines[0].file, None, "line 2"),
        ManifestLine(lines[1].doc_id, str(empty), None, "line 3"),
        ManifestLine(lines[2].doc_id, str(tmp_path), None, "line 4"),
        *lines[3:],
    ]


def test_nothing_is_sent_if_one_cannot_be_replaced(
    service: Service, lines: list[ManifestLine], tmp_path: Path
) -> None:
    with pytest.raises(Refused) as caught:
        Ran(service, spoil(lines, tmp_path))
    text = str(caught.value)
    assert text.startswith(
        "3 of 12 cannot be replaced, so nothing was sent.\nline 2, document 999999: "
    )
    for part in ("Document not found", "\nline 3, ", "is empty", "\nline 4, ", "is a folder"):
        assert part in text
    assert accepted(service) == []


def test_the_others_are_replaced_if_that_is_wanted(
    service: Service, lines: list[ManifestLine], tmp_path: Path
) -> None:
    ran = Ran(service, spoil(lines, tmp_path), on_error="continue")
    assert ran.outcomes == {"refused": 3, "replaced": 9}
    assert len(accepted(service)) == 9
    with pytest.raises(BulkFailed, match="Of 12 replacements: 9 replaced, 3 refused"):
        require_success(ran.rows, ran.bulk.stop, ran.bulk.last_error, None)


def test_a_file_that_a_document_carries_already_is_not_sent(
    service: Service, lines: list[ManifestLine]
) -> None:
    Ran(service, lines[:5])
    again = Ran(service, lines)
    assert again.outcomes == {"unchanged": 5, "replaced": 7}
    for row in again.rows[:5]:
        assert (row.md5_before, row.md5, row.md5_after, row.proof) == (
            *[md5_of(row.file)] * 3,
            "md5",
        )
    assert len(accepted(service)) == 12


def test_an_invalid_file_fails_alone(service: Service, lines: list[ManifestLine]) -> None:
    service.set(invalid_next=1)
    ran = Ran(service, lines, on_error="continue")
    assert ran.outcomes == {"failed": 1, "replaced": 11}


def test_stopping_sends_no_more(service: Service, lines: list[ManifestLine]) -> None:
    service.fail("code:2", "upload.replace")
    ran = Ran(service, lines, on_error="stop")
    assert ran.outcomes == {"failed": 1, "not_sent": 11}
    assert accepted(service) == []


def test_a_volume_that_does_not_suffice_is_known_before(
    service: Service, lines: list[ManifestLine]
) -> None:
    sizes = [Path(line.file).stat().st_size for line in lines]
    service.set(quota_left_bytes=sum(sizes[:7]) + 10)
    with pytest.raises(
        Refused, match=r"^The files have .* upload volume are left, so nothing was sent"
    ):
        Ran(service, lines)
    assert accepted(service) == []
    ran = Ran(service, lines, on_error="continue")
    assert ran.outcomes == {"replaced": 7, "not_sent": 5}
    assert ran.rows[-1].error.startswith("Not sent: ")
    assert len(accepted(service)) == 7
    # The next month.
    service.set(quota_left_bytes=10**9)
    assert Ran(service, lines).outcomes == {"unchanged": 7, "replaced": 5}
    assert len(accepted(service)) == 12


def test_a_volume_that_is_used_up_on_the_way_stops_cleanly(
    service: Service, lines: list[ManifestLine]
) -> None:
    service.set(quota_left_bytes=sum(Path(line.file).stat().st_size for line in lines[:7]) + 10)
    ran = Ran(service, lines, on_error="continue", check_account=False, max_parallel_uploads=1)
    assert ran.outcomes == {"replaced": 7, "not_sent": 5}
    assert ran.bulk.stop
    assert ran.bulk.stop.reason == "volume"
    assert all("volume is used up" in row.error for row in ran.rows[7:])
    assert carried(service, lines) == 7


def test_an_outage_ends_the_run_and_a_retry_does_the_rest(
    service: Service, lines: list[ManifestLine]
) -> None:
    journal = BulkJournal()
    Ran(service, lines[:4], journal)
    service.fail("code:503", "upload.replace", times=3)
    ran = Ran(service, lines, journal)
    assert ran.bulk.stop
    assert ran.bulk.stop.reason == "outage"
    assert ran.bulk.last_error is not None
    assert ran.outcomes["replaced"] == 4
    assert ran.outcomes["not_sent"] + ran.outcomes["uncertain"] >= 7  # one may have been under way
    ran = Ran(service, lines, journal)
    assert (ran.bulk.last_error, ran.outcomes) == (None, {"replaced": 12})
    assert set(sent_to(service).values()) == {1}
    assert len(accepted(service)) == 12


def test_one_transient_error_is_survived(service: Service, lines: list[ManifestLine]) -> None:
    service.fail("drop_before_reading", "upload.replace", times=1)
    assert Ran(service, lines).outcomes == {"replaced": 12}
    assert len(accepted(service)) == 12


def test_a_lost_answer_is_asked_for_and_nothing_sent_twice(
    service: Service, lines: list[ManifestLine]
) -> None:
    service.fail("drop_after_accepting", "upload.replace", times=2)
    assert Ran(service, lines).outcomes == {"replaced": 12}
    assert sorted(entry["doc_id"] for entry in accepted(service)) == sorted(
        line.doc_id for line in lines
    )


def test_a_file_that_changed_since_it_was_inspected_is_sent_as_it_is_now(
    service: Service, lines: list[ManifestLine]
) -> None:
    with service.client() as client:
        bulk = BulkReplacement(client, options(on_error="continue"), BulkJournal())
        bulk.inspect(lines)
        draw(Path(lines[3].file), "#00ff00")
        bulk.run(timeout=30)
    assert {row.status for row in bulk.rows} == {"replaced"}
    assert bulk.rows[3].md5 == bulk.rows[3].md5_after == md5_of(lines[3].file)
    assert carried(service, lines) == 12
    assert len(accepted(service)) == 12


def test_waiting_can_be_left_to_a_later_run(service: Service, lines: list[ManifestLine]) -> None:
    journal = BulkJournal()

    def resumed() -> BulkReplacement:
        bulk = BulkReplacement(client, options(), journal)
        bulk.resume(state)
        return bulk

    with service.client() as client:
        bulk = BulkReplacement(client, options(), journal)
        bulk.inspect(lines)
        service.set(processing_seconds=2)
        pending = bulk.run(timeout=30, may_pause=True)
        state = json.loads(json.dumps(bulk.state))
        assert pending
        assert set(pending.values()) <= {line.doc_id for line in lines}
        assert len(accepted(service)) == 12
        assert (
            resumed().run(timeout=30, may_pause=True) == pending
        )  # it has asked, and none was ready
        time.sleep(2.2)
        again = resumed()
        assert again.run(timeout=30, may_pause=True) == {}
    assert [row.doc_id for row in again.rows] == [line.doc_id for line in lines]
    assert {row.status for row in again.rows} == {"replaced"}
    assert len(accepted(service)) == 12


def test_a_run_that_was_stopped_is_resumed_as_one(
    service: Service, lines: list[ManifestLine]
) -> None:
    """Whoever goes on finds the volume that has ended, and sends nothing more."""
    lines = lines[:4]
    service.set(processing_seconds=1.0)
    journal = BulkJournal()
    Ran(service, lines[:1], journal)
    service.set(quota_left_bytes=sum(Path(line.file).stat().st_size for line in lines[1:3]))
    wanted = options(on_error="continue", max_parallel_uploads=1)
    with service.client() as client:
        bulk = BulkReplacement(client, wanted, journal)
        bulk.inspect(lines)
        assert bulk.stop is None
        assert bulk.run(timeout=30, may_pause=True)
        service.set(quota_left_bytes=10**9)
        time.sleep(1.2)
        again = BulkReplacement(client, wanted, journal)
        again.resume(json.loads(json.dumps(bulk.state)))
        assert again.stop
        assert again.stop.reason == "volume"
        assert again.run(timeout=30) == {}
    assert [row.status for row in again.rows] == ["replaced", "replaced", "replaced", "not_sent"]
    assert len(accepted(service)) == 3


def test_a_time_limit_keeps_what_is_known(service: Service, lines: list[ManifestLine]) -> None:
    journal = BulkJournal()
    Ran(service, lines[:1], journal)
    with service.client() as client:
        service.set(processing_seconds=600)
        bulk = BulkReplacement(client, options(), journal)
        bulk.inspect(lines)
        with pytest.raises(NotFinished, match=r"Tickets not finished in time: 1\."):
            bulk.run(timeout=0.5)
    assert [row.status for row in bulk.rows] == ["replaced", "sent", *["not_sent"] * 10]
    known = journal.rows
    assert [row.status for row in known.values()].count("sent") == 1
    assert all(
        Row.from_json(json.loads(json.dumps(row.to_json()))) == row for row in known.values()
    )


def test_a_token_that_is_refused_ends_the_inspection(
    service: Service, lines: list[ManifestLine]
) -> None:
    service.fail("code:107", "doc.get")
    with pytest.raises(CredentialError):
        Ran(service, lines, on_error="continue")


def test_a_token_that_is_refused_on_the_way_stops_and_a_later_try_goes_on(
    service: Service, lines: list[ManifestLine]
) -> None:
    journal = BulkJournal()
    service.fail("code:107", "upload.replace")
    ran = Ran(service, lines, journal, on_error="continue")
    assert ran.outcomes == {"not_sent": 12}
    assert "Token invalid" in ran.rows[0].error
    with pytest.raises(
        BulkFailed, match="Nothing more was sent, because the service refuses the token"
    ):
        require_success(ran.rows, ran.bulk.stop, ran.bulk.last_error, None)
    assert Ran(service, lines, journal).outcomes == {"replaced": 12}


def test_a_service_that_fails_while_a_replacement_is_proven_is_asked_again(
    service: Service, lines: list[ManifestLine]
) -> None:
    lines = lines[:4]
    service.set(processing_seconds=1.0)
    ended: list[Ran] = []
    thread = threading.Thread(
        target=lambda: ended.append(
            Ran(service, lines, on_new_document="keep", max_parallel_uploads=1)
        )
    )
    thread.start()
    wait_for("the first upload", lambda: accepted(service), 20, every=0.05)
    service.fail("code:503", "doc.get", times=4)
    thread.join(60)
    (ran,) = ended
    assert (ran.outcomes, ran.bulk.last_error) == ({"replaced": 4}, None)


def test_a_file_that_cannot_be_read_for_now_holds_up_no_other(
    service: Service, lines: list[ManifestLine]
) -> None:
    unreadable = ManifestLine(lines[0].doc_id, "/proc/self/mem", "boat.jpg", "line 2")
    with pytest.raises(SourceUnreadable, match="cannot be read"):
        Ran(service, [unreadable, *lines[1:4]])
    assert accepted(service) == []
    ran = Ran(service, [unreadable, *lines[1:4]], on_error="continue")
    assert ran.outcomes == {"not_sent": 1, "replaced": 3}
    assert isinstance(ran.bulk.last_error, SourceUnreadable)


def test_one_sick_document_holds_up_no_other_and_a_sick_service_ends_the_inspection(
    service: Service, lines: list[ManifestLine]
) -> None:
    service.fail("http:500", "doc.get", times=4)
    ran = Ran(service, lines[:4], on_error="continue", max_parallel_uploads=1)
    assert ran.outcomes == {"not_sent": 1, "replaced": 3}
    assert isinstance(ran.bulk.last_error, TransientError)
    service.fail("http:500", "doc.get", times=12)
    with pytest.raises(TransientError):
        Ran(service, lines[:4], on_error="continue", max_parallel_uploads=1)


def test_cancelling_aborts_uploads_and_a_later_try_sends_at_once(
    service: Service, lines: list[ManifestLine]
) -> None:
    lines = lines[:2]
    for line in lines:
        os.truncate(line.file, 64_000_000)  # more than the buffers on the way take in at once
    service.set(receive_bytes_per_second=4_000_000)
    journal, cancelled = BulkJournal(), threading.Event()
    with service.client() as client:
        bulk = BulkReplacement(client, options(resend_grace=60.0), journal, cancelled=cancelled)
        bulk.inspect(lines)
        service.while_sending(cancelled.set)
        with pytest.raises(Cancelled):
            bulk.run(timeout=30)
    assert {row.status for row in bulk.rows} == {"not_sent"}
    assert accepted(service) == []
    service.set(receive_bytes_per_second=None)
    began = time.monotonic()
    assert Ran(service, lines, journal, resend_grace=60.0).outcomes == {"replaced": 2}
    assert time.monotonic() - began < 50  # no grace was waited for
    assert set(sent_to(service).values()) == {1}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"on_error": "ignore"}, "on_error is 'ignore'"),
        ({"max_parallel_uploads": 0}, "max_parallel_uploads is 0"),
        ({"if_unchanged": "skip"}, "if_unchanged is 'skip'"),
        ({"proof": "sha"}, "proof is 'sha'"),
    ],
)
def test_an_impossible_option_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        options(**given)
