"""A probe that is killed leaves nothing that its record does not know."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ipernity_provider.api.models import Document, Token
from ipernity_provider.probe.documents import is_made_by
from ipernity_provider.probe.polling import Patience
from ipernity_provider.probe.record import Attempt, Record, RecordUnusable, exclusive
from tests.conftest import Service
from tests.probe.support import SHORT, clean, own_documents, probe
from tests.probe.test_probing import SEEDS

KILLS = 30
#: About how long a probe takes here, in seconds; a later kill finds a finished one.
SPAN = 2.5


@pytest.mark.parametrize("number", range(KILLS))
def test_a_killed_probe_leaves_nothing_unknown(
    service: Service, tmp_path: Path, number: int
) -> None:
    """``kill -9`` at a random moment; the next start finds and deletes what there is."""
    chance = random.Random(number)
    service.set(
        permissions={"doc": "delete"},
        processing_seconds=0.2,
        replace_mode=chance.choice(["in_place", "new_document"]),
        rewrite_bytes=chance.random() < 0.3,
    )
    record = tmp_path / "record.json"
    command = [sys.executable, "-m", "tests.probe.killed", service.url, str(record)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0, SPAN))
        process.kill()
    made = own_documents(service) - SEEDS
    left = clean(service, record, SHORT)
    assert own_documents(service) == SEEDS, (made, left)
    # What did not arrive is looked for again at the next start.
    assert all(one.reason == "not_found" and one.attempt.doc_id is None for one in left)
    assert len(Record.load(record, service.url).attempts) == len(left) <= 1


def test_an_upload_is_in_the_record_before_it_is_sent(service: Service, tmp_path: Path) -> None:
    """A service that never answers: all that was sent was written down first."""
    service.set(permissions={"doc": "delete"}, processing_seconds=0)
    service.fail("drop_after_accepting", "upload.file", times=9)
    record = tmp_path / "record.json"
    found = probe(service, record, patience=SHORT)
    assert found.media["photo"]["file_ticket"] == "unknown"
    stored = json.loads(record.read_text())
    assert {attempt["md5"] for attempt in stored["attempts"]} == {
        entry["md5"] for entry in service.ledger()
    }
    assert record.stat().st_mode & 0o777 == 0o600
    assert clean(service, record, SHORT) == []
    assert own_documents(service) == SEEDS


def test_an_upload_that_never_showed_up_is_forgotten_in_the_end(
    service: Service, tmp_path: Path
) -> None:
    record = Record(tmp_path / "record.json", service.url, [])
    record.add(attempt(started_at=time.time()))
    (left,) = clean(service, record.path, Patience(seconds=0))
    assert left.reason == "not_found"
    record.attempts[0].started_at -= 601
    record.save()
    assert clean(service, record.path) == []
    assert not record.path.exists()


def test_a_document_that_the_probe_did_not_make_is_not_touched(
    service: Service, tmp_path: Path
) -> None:
    """A service that names another document for an upload must not make us delete that."""
    service.set(permissions={"doc": "delete"})
    record = Record(tmp_path / "record.json", service.url, [])
    for doc_id in ("5413", "7001"):  # the user's own, public; another user's
        record.add(attempt(doc_id=doc_id))
    left = clean(service, record.path, SHORT)
    kept = {(one.reason, one.doc_id) for one in left}
    assert kept == {("not_ours", "5413"), ("not_ours", "7001")}
    assert own_documents(service) == SEEDS
    with service.client() as client:
        assert client.call("doc.get", doc_id="5413")["doc"]["visibility"]["ispublic"] == "1"
    assert service.calls().get("doc.delete", 0) == service.calls().get("doc.set", 0) == 0


def attempt(**changes: object) -> Attempt:
    fields = {
        "method": "upload.file",
        "media": "photo",
        "filename": "ipernity-probe-ab-1.png",
        "title": "ipernity probe ab",
        "md5": "0" * 32,
        "bytes": 5,
        "started_at": time.time(),
    }
    return Attempt(**{**fields, **changes})  # type: ignore[arg-type]


def document(**changes: object) -> Document:
    fields = {
        "doc_id": "1",
        "media": "photo",
        "title": "",
        "owner_id": "1234",
        "link": None,
        "md5": None,
        "bytes": None,
        "filename": None,
        "posted_at": 0,
        "replaced_at": 0,
        "asked_at": None,
    }
    return Document(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "is_made"),
    [
        ({}, False),
        ({"title": "ipernity probe ab"}, True),
        ({"title": "ipernity probe ac"}, False),
        ({"filename": "ipernity-probe-ab-1.png"}, True),
        ({"filename": "ipernity-probe-ab-1.png", "owner_id": "5678"}, False),
        ({"md5": "0" * 32}, True),
        ({"posted_at": 990, "asked_at": 1000}, True),
        ({"posted_at": 100, "asked_at": 1000}, False),
        ({"posted_at": 990}, False),
    ],
)
def test_only_what_bears_a_mark_or_is_new_is_the_probes(
    changes: dict[str, object], is_made: bool
) -> None:
    token = Token("1234", "Superman", True, "en", {})
    assert is_made_by(attempt(), document(**changes), token) is is_made


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"attempts": [{}]}', b'{"attempts": 5}', b"\xff", b"null"]
)
def test_a_broken_record_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(RecordUnusable, match="cannot be read"):
        Record.load(path, "account")


def test_a_record_of_another_account_is_not_used(tmp_path: Path) -> None:
    record = Record(tmp_path / "record.json", "one", [])
    record.add(attempt())
    assert Record.load(record.path, "one").attempts == record.attempts
    with pytest.raises(RecordUnusable, match="another account"):
        Record.load(record.path, "another")


def test_two_probes_of_one_connection_do_not_run_at_once(tmp_path: Path) -> None:
    path = tmp_path / "ipernity" / "probe-x.json"
    with exclusive(path), pytest.raises(RecordUnusable, match="Another probe"), exclusive(path):
        pass
    with exclusive(path):
        pass


def test_nothing_is_sent_without_a_record(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "record.json"
    record = Record.load(path, service.url)
    path.parent.write_text("a file where the folder should be")
    with pytest.raises(RecordUnusable, match="Nothing is sent without it"):
        record.add(attempt())
    with pytest.raises(RecordUnusable, match="cannot be read"):
        probe(service, path)
    assert service.ledger() == []
