"""Lines of progress, by a clock that the test turns."""

from __future__ import annotations

import logging

import pytest

from ipernity_provider.replacement.progress import WORTH_A_LINE, ProgressLog

MIB = 1 << 20


class Upload:
    """Sends a file in blocks of 1 MiB at a steady rate."""

    def __init__(self, mib_per_second: float) -> None:
        self.now = 100.0
        self.log = ProgressLog(clock=lambda: self.now)
        self._pause = 1 / mib_per_second

    def send(self, mib: int, size: int | None = None) -> None:
        for sent in range(1, mib + 1):
            self.log(sent * MIB, size or mib * MIB)
            self.now += self._pause


@pytest.fixture(autouse=True)
def at_info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def test_a_line_every_ten_seconds_where_the_way_is_long(caplog: pytest.LogCaptureFixture) -> None:
    Upload(mib_per_second=2).send(100, size=1000 * MIB)
    assert caplog.messages == [
        "Sent 21 of 1,000 MiB (2 %), 2.0 MiB/s, about 490 s left.",
        "Sent 41 of 1,000 MiB (4 %), 2.0 MiB/s, about 480 s left.",
        "Sent 61 of 1,000 MiB (6 %), 2.0 MiB/s, about 470 s left.",
        "Sent 81 of 1,000 MiB (8 %), 2.0 MiB/s, about 460 s left.",
    ]


def test_a_line_every_ten_percent_where_it_is_short(caplog: pytest.LogCaptureFixture) -> None:
    Upload(mib_per_second=4).send(100)
    assert len(caplog.messages) == 9
    assert caplog.messages[0] == "Sent 11 of 100 MiB (11 %), 4.0 MiB/s, about 22 s left."
    assert caplog.messages[-1].startswith("Sent 91 of 100 MiB (91 %)")


def test_never_two_lines_within_two_seconds(caplog: pytest.LogCaptureFixture) -> None:
    Upload(mib_per_second=16).send(100)
    assert [message.split(" of ")[0] for message in caplog.messages] == [
        "Sent 33",
        "Sent 65",
        "Sent 97",
    ]


def test_what_takes_less_than_two_seconds_or_is_small_is_sent_without_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    Upload(mib_per_second=100).send(100)
    Upload(mib_per_second=0.1).send(7)
    assert WORTH_A_LINE == 8 * MIB
    assert caplog.messages == []


def test_a_second_upload_is_counted_from_its_own_beginning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    upload = Upload(mib_per_second=2)
    upload.send(10, size=1000 * MIB)
    upload.now += 3600
    upload.send(25, size=1000 * MIB)
    assert caplog.messages == ["Sent 21 of 1,000 MiB (2 %), 2.0 MiB/s, about 490 s left."]
