"""Who is sent next, and when no more is sent: decisions without threads, files or a service."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipernity_provider.bulk.rows import Row, Status
from ipernity_provider.bulk.scheduler import ATTEMPTS_PER_ROW, SendScheduler, find_obstacle
from ipernity_provider.files.checksums import SourceFile

A, B, C, D = "1", "2", "3", "4"


def scheduler(*queue: str, volume: int = 10, parallel: int = 2, **options: object) -> SendScheduler:
    return SendScheduler(dict.fromkeys(queue, volume), max_parallel=parallel, **options)  # type: ignore[arg-type]


def test_the_others_wait_until_the_canary_is_proven() -> None:
    uploads = scheduler(A, B, C, D)
    assert uploads.next() == A
    assert uploads.next() is None
    uploads.note_sent(A)
    assert uploads.next() is None
    uploads.note_done(A, proven=True)
    assert [uploads.next(), uploads.next(), uploads.next()] == [B, C, None]
    uploads.note_sent(B)
    assert uploads.next() == D
    assert uploads.idle


@pytest.mark.parametrize("sent", [False, True])
def test_where_the_canary_fails_the_next_one_is_the_canary(sent: bool) -> None:
    uploads = scheduler(A, B, C)
    assert uploads.next() == A
    if sent:
        uploads.note_sent(A)
    uploads.note_done(A)
    assert [uploads.next(), uploads.next()] == [B, None]


def test_uploads_of_earlier_tries_are_looked_at_first() -> None:
    uploads = scheduler(A, B, unchecked=[C, D])
    assert uploads.next() is None
    uploads.note_checked(C)  # still pending
    assert uploads.next() is None
    uploads.note_done(D, proven=True)
    assert [uploads.next(), uploads.next()] == [A, B]  # what was proven now is as good as a canary


def test_an_upload_of_an_earlier_try_that_does_not_count_is_sent_behind_the_others() -> None:
    uploads = scheduler(A, parallel=1, unchecked=[B])
    uploads.note_done(B)
    uploads.add(B, 10)
    assert uploads.next() == A
    uploads.note_done(A, proven=True)
    assert uploads.next() == B


def test_the_volume_is_spent_in_order_and_given_back() -> None:
    uploads = scheduler(A, B, C, D, parallel=1, left_bytes=25)
    assert uploads.next() == A
    uploads.note_done(A)  # it was unchanged
    assert uploads.next() == B
    uploads.note_sent(B)
    uploads.note_done(B, proven=True)
    assert uploads.next() == C
    uploads.note_sent(C)
    uploads.note_done(C, proven=True)
    assert uploads.next() is None
    assert uploads.stop
    assert uploads.stop.reason == "volume"
    assert (
        uploads.stop.message
        == "5 bytes of this month's upload volume are left, the next file has 10"
    )
    assert uploads.drain() == [D]


def test_a_row_is_tried_three_times_behind_the_others() -> None:
    uploads = scheduler(A, B, parallel=1)
    order = []
    for _ in range(ATTEMPTS_PER_ROW - 1):
        assert uploads.next() == A
        order.append(A)
        assert uploads.note_failure(A)
        uploads.requeue(A)
        if len(uploads) == 2:
            assert uploads.next() == B
            uploads.note_sent(B)
            uploads.note_done(B, proven=True)
    assert uploads.next() == A
    assert not uploads.note_failure(A)
    uploads.note_done(A)
    assert uploads.idle
    assert uploads.stop is None


def test_three_rows_that_fail_in_a_row_are_an_outage() -> None:
    uploads = scheduler(A, B, C, D, parallel=1)
    for doc_id in (A, B):
        assert uploads.next() == doc_id
        assert uploads.note_failure(doc_id)
        uploads.requeue(doc_id)
    assert uploads.next() == C
    assert not uploads.note_failure(C)
    assert uploads.outage
    assert uploads.next() is None


def test_one_sick_row_a_bad_file_or_a_success_in_between_is_not_an_outage() -> None:
    uploads = scheduler(A, B, C, D)
    for _ in range(5):
        uploads.note_failure(A)
    uploads.note_failure(B)
    uploads.note_failure(C, of_service=False)
    assert not uploads.outage
    uploads.note_sent(D)
    uploads.note_failure(C)
    assert not uploads.outage
    uploads.note_failure(A)
    uploads.note_failure(B)
    assert uploads.outage


def test_the_first_reason_to_stop_counts_but_an_outage_outweighs_it() -> None:
    uploads = scheduler(A)
    uploads.end("failed", "first")
    uploads.end("volume", "second")
    assert uploads.stop
    assert uploads.stop.message == "first"
    uploads.end("outage", "third")
    assert uploads.outage


@given(st.data())
def test_whatever_happens_each_row_is_sent_once_and_never_too_many_at_a_time(
    data: st.DataObject,
) -> None:
    """Random events: each row ends, never too many are sent at a time, and the volume holds."""
    count, parallel = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 3))
    queue = {str(number): data.draw(st.integers(0, 9)) for number in range(count)}
    left = data.draw(st.none() | st.integers(0, 30))
    uploads = SendScheduler(queue, max_parallel=parallel, left_bytes=left)
    sending: list[str] = []
    pending: list[str] = []
    accepted: list[str] = []
    ended: list[str] = []
    proven = False
    for _ in range(200):
        while (doc_id := uploads.next()) is not None:
            assert proven or not (sending or pending)
            sending.append(doc_id)
        assert len(sending) <= parallel
        if not sending and not pending:
            break
        if pending and (not sending or data.draw(st.booleans())):
            doc_id = pending.pop(0)
            well = data.draw(st.booleans())
            proven = proven or well
            uploads.note_done(doc_id, proven=well)
            ended.append(doc_id)
            continue
        doc_id = sending.pop(data.draw(st.integers(0, len(sending) - 1)))
        event = data.draw(st.sampled_from(["sent", "unchanged", "fails for now"]))
        if event == "sent":
            uploads.note_sent(doc_id)
            accepted.append(doc_id)
            pending.append(doc_id)
        elif event == "unchanged":
            uploads.note_done(doc_id)
            ended.append(doc_id)
        elif uploads.note_failure(doc_id):
            uploads.requeue(doc_id)
        else:
            uploads.note_done(doc_id)
            ended.append(doc_id)
    assert sorted([*ended, *uploads.drain()]) == sorted(queue)
    assert len(accepted) == len(set(accepted))
    assert left is None or sum(queue[doc_id] for doc_id in accepted) <= left
    assert uploads.stop is not None or len(ended) == count


def row(number: int, status: Status = "planned", size: int = 10) -> Row:
    source = SourceFile(None, "boat.jpg", size, "0" * 32)
    return Row(
        doc_id=str(number), file="boat.jpg", where=f"line {number}", status=status, source=source
    )


@pytest.mark.parametrize("status", ["refused", "failed", "uncertain", "not_sent"])
def test_nothing_is_sent_unless_everything_can_be(status: Status) -> None:
    rows = [row(2), row(3, status), row(4, "replaced"), row(5, "unchanged"), row(6, "sent")]
    stop = find_obstacle(rows, None, "stop")
    assert stop
    assert (stop.reason, stop.message) == ("refused", "1 of 5 cannot be replaced")
    assert find_obstacle(rows, None, "continue") is None


def test_the_volume_must_suffice_for_all_that_is_sent() -> None:
    rows = [row(2), row(3), row(4, "unchanged", 1000)]
    assert find_obstacle(rows, 20, "stop") is None
    stop = find_obstacle(rows, 19, "stop")
    assert stop
    assert stop.reason == "volume"
    assert "have 20 bytes together, but only 19 bytes" in stop.message
    assert find_obstacle(rows, 19, "continue") is None
    assert find_obstacle(rows, None, "stop") is None
