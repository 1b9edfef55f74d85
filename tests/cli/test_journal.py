"""Where commands keep what they have sent."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ipernity_provider.cli.errors import CommandFailed
from ipernity_provider.cli.journal import FileJournal, open_journal
from ipernity_provider.replacement.record import DocumentSnapshot, UploadRecord

RECORD = UploadRecord(
    doc_id="5412",
    filename="boat.jpg",
    bytes=7,
    md5="a" * 32,
    before=DocumentSnapshot("b" * 32, 8, 0, 1700000000),
    owner_id="1234",
    url=None,
    intent="1",
    attempt="2",
    started_at=1.0,
    heartbeat_at=2.0,
    complete=True,
)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def journal_file(state: Path) -> Path:
    return state / "airflow-provider-ipernity" / "api.ipernity.com-1234" / "5412.json"


def test_a_record_is_there_for_the_next_command_and_for_nobody_else(state: Path) -> None:
    with open_journal("api.ipernity.com", "1234", "5412") as journal:
        assert journal.read() is None
        journal.write(RECORD)
    file = journal_file(state)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert list(file.parent.iterdir()) == [file]  # neither a lock nor a part is left
    with open_journal("api.ipernity.com", "1234", "5412") as journal:
        assert journal.read() == RECORD
        journal.delete()
    assert not file.exists()


def test_what_a_killed_command_left_of_a_record_goes_with_it(state: Path) -> None:
    folder = journal_file(state).parent
    folder.mkdir(parents=True)
    parts = [folder / ".5412-0f0f.part", folder / ".5413-0f0f.part"]
    for part in parts:
        part.touch()
    with open_journal("api.ipernity.com", "1234", "5412") as journal:
        journal.write(RECORD)
        journal.delete()
    assert list(folder.iterdir()) == parts[1:]  # another command may be writing it now


@pytest.mark.parametrize(
    "place",
    [("api.ipernity.com", "1234", "5413"), ("api.ipernity.com", "1235", "5412"), ("a", "1", "2")],
)
def test_each_document_of_each_account_has_its_own(place: tuple[str, str, str]) -> None:
    with open_journal("api.ipernity.com", "1234", "5412") as journal:
        journal.write(RECORD)
        with open_journal(*place) as other:
            assert other.read() is None


def test_a_host_does_not_lead_out_of_the_folder(state: Path) -> None:
    with open_journal("../../evil:80", "1234", "5412") as journal:
        journal.write(RECORD)
    (file,) = state.rglob("5412.json")
    assert file.parent.parent == state / "airflow-provider-ipernity"


def test_an_upload_that_was_not_complete_is_forgotten(state: Path) -> None:
    with open_journal("api.ipernity.com", "1234", "5412") as journal:
        journal.write(UploadRecord(**{**RECORD.__dict__, "complete": False}))
    with open_journal("api.ipernity.com", "1234", "5412") as journal:
        assert journal.read() is None


def test_two_commands_do_not_have_the_same_document() -> None:
    with open_journal("api.ipernity.com", "1234", "5412"):
        with pytest.raises(CommandFailed, match="Another command is replacing the file"):
            with open_journal("api.ipernity.com", "1234", "5412"):
                pass
    with open_journal("api.ipernity.com", "1234", "5412"):
        pass


@pytest.mark.parametrize("content", ["", "nothing", "[]", "{}", '{"doc_id": "5412"}'])
def test_a_journal_that_cannot_be_read_sends_nothing(state: Path, content: str) -> None:
    file = state / "journal.json"
    file.write_text(content)
    with pytest.raises(CommandFailed, match=r"cannot be read\. Nothing was sent"):
        FileJournal(file).read()


def test_a_state_folder_that_cannot_be_used_sends_nothing(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (state / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(state / "file"))
    with pytest.raises(CommandFailed, match="Set XDG_STATE_HOME"):
        with open_journal("api.ipernity.com", "1234", "5412"):
            pass


def test_the_usual_place_is_below_the_home_folder(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(state))
    for unset in ("", "relative"):
        monkeypatch.setenv("XDG_STATE_HOME", unset)
        with open_journal("api.ipernity.com", "1234", "5412") as journal:
            journal.write(RECORD)
        folder = state / ".local" / "state" / "airflow-provider-ipernity"
        assert (folder / "api.ipernity.com-1234" / "5412.json").exists()
