"""What the service or a file name says never writes a line of its own into a log or a sentence."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import IpernityError
from ipernity_provider.text import log_lines
from tests.api.raw_server import http, is_one_line, reply
from tests.replacement.support import run
from tests.security.hostile import NEW, HostileService

FORGED = "ERROR - forged"
#: Line breaks of all kinds, terminal codes, turns of direction.
EVIL = (
    f"\r\n{FORGED}\n{FORGED}\x0b{FORGED}\x0c{FORGED}\x1c{FORGED}\x85{FORGED}\u2028{FORGED}"
    f"\u2029{FORGED}\x1b[2J\x1b]0;x\x07\x9b31m\u202e\x00\x08"
)


class Records(logging.Handler):
    """All that is logged, at each level, also by the libraries."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.found: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(record)

    def of(self, logger: str) -> list[logging.LogRecord]:
        return [record for record in self.found if record.name.startswith(logger)]


@pytest.fixture(autouse=True)
def logs(caplog: pytest.LogCaptureFixture) -> Iterator[Records]:
    caplog.set_level(logging.DEBUG)
    records = Records()
    logging.getLogger().addHandler(records)
    yield records
    logging.getLogger().removeHandler(records)
    assert records.found
    for record in records.found:
        message = record.getMessage()
        assert is_one_line(message), message
        assert not message.startswith(FORGED), message  # the rest of a long line is indented


def said_of(client: IpernityClient, file: Path, **options: Any) -> str:
    """Return what is said of a replacement, done or failed, as the task's log says it."""
    try:
        said = run(client, file, resend_grace=0.5, timeout=2.0, **options).reason
    except IpernityError as error:
        said = str(error)
    log_lines(logging.getLogger("task"), logging.ERROR, said)
    return said


TEXTS = [
    ("doc.get", ("doc", "title")),
    ("doc.get", ("doc", "media")),
    ("doc.get", ("doc", "link")),
    ("doc.get", ("doc", "owner", "user_id")),
    ("doc.get", ("doc", "original", "filename")),
    ("doc.getMedias", ("original", "filename")),
    ("doc.getMedias", ("original", "label")),
    ("doc.getMedias", ("original", "url")),
    ("auth.checkToken", ("auth", "user", "username")),
    ("auth.checkToken", ("auth", "user", "user_id")),
    ("auth.checkToken", ("auth", "permissions", "doc")),
    ("upload.replace", ("ticket",)),
    ("upload.checkTickets", ("tickets", "ticket", 0, "id")),
    ("upload.checkTickets", ("tickets", "ticket", 0, "eta")),
    ("upload.checkTickets", ("tickets", "ticket", 0, "doc_id")),
]


@pytest.mark.parametrize(("method", "path"), TEXTS, ids=str)
def test_a_text_of_the_service_stays_within_its_line(
    hostile: HostileService, new_file: Path, tmp_path: Path, method: str, path: tuple[str, ...]
) -> None:
    hostile.change(method, *path, to=f"A boat{EVIL}")
    with hostile.client() as client:
        assert is_one_line(said_of(client, new_file, backup_to=tmp_path / "backups"))


def test_each_event_is_one_record(
    hostile: HostileService, new_file: Path, tmp_path: Path, logs: Records
) -> None:
    """With titles and names that break lines there are as many records as with plain ones."""
    counts = []
    for title in ("A boat", f"A boat{EVIL[:40]}"):
        hostile.content = b"as it was"
        hostile.answers["/media/5412.jpg"] = http(200, b"as it was")
        logs.found.clear()
        samples = hostile.samples()
        samples["doc.get"]["doc"]["title"] = title
        before = reply(samples["doc.get"])
        hostile.answers["doc.get"] = before
        hostile.answers["upload.replace"] = lambda: (
            hostile.answers.pop("doc.get") and reply(hostile.samples()["upload.replace"])
        )
        with hostile.client() as client:
            assert run(client, new_file, backup_to=tmp_path / "backups").outcome == "replaced"
        counts.append(len(logs.of("ipernity_provider")))
    assert counts[0] == counts[1] > 5


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize(
    "method", ["doc.get", "account.getQuota", "upload.replace", "upload.checkTickets"]
)
def test_a_refusal_of_the_service_stays_within_its_line(
    hostile: HostileService, new_file: Path, method: str, status: int
) -> None:
    api = {"status": "error", "code": "4711", "message": EVIL}
    hostile.answers[method] = reply({"api": api}, status)
    with hostile.client() as client:
        assert is_one_line(said_of(client, new_file))


@pytest.mark.parametrize(
    "header", ["Retry-After: x", "Location: /x\x1b[2J", "no colon", "X\x1b[2J: \x85y", ": y"]
)
def test_a_header_stays_within_its_line(
    hostile: HostileService, new_file: Path, header: str
) -> None:
    """Also in the records of the HTTP libraries."""
    hostile.answers["doc.get"] = reply(
        hostile.samples()["doc.get"], 200, f"{header}\r\nX: {FORGED}"
    )
    with hostile.client() as client:
        assert is_one_line(said_of(client, new_file))


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"upload.replace": http(500, b"")},
        {
            "account.getQuota": reply(
                {"quota": {"is_pro": "1", "maxfilesize": {"photo": {"bytes": "1"}}}}
            )
        },
    ],
    ids=["replaced", "lost", "too large"],
)
def test_a_file_name_stays_within_its_line(
    hostile: HostileService, tmp_path: Path, answers: dict[str, bytes]
) -> None:
    """Who may put files beside those that are sent chooses their names."""
    file = tmp_path / f"boat\n{FORGED}\x1b[2J.jpg"
    file.write_bytes(NEW)
    hostile.answers.update(answers)
    with hostile.client() as client:
        assert is_one_line(said_of(client, file))
