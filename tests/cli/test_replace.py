"""``replace``: the plan, the question, the proof; and what an interrupted one leaves behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts.rig import connection_json
from tests.cli.commandline import Command, environment
from tests.cli.test_terminal import terminal
from tests.conftest import BOAT, Connect, Service, draw


def journals(state: Path) -> list[str]:
    return [file.name for file in state.rglob("*") if file.is_file()]


def replaced(service: Service) -> list[str]:
    return [entry["doc_id"] for entry in service.ledger() if entry["method"] == "upload.replace"]


def md5_of_boat(service: Service) -> str | None:
    with service.client() as client:
        return client.get_document(BOAT).md5


def test_the_plan_comes_first_and_the_result_last(
    service: Service, command: Command, picture: Path, state: Path
) -> None:
    before = md5_of_boat(service)
    assert command("replace", BOAT, str(picture), "--yes") == 0
    after = md5_of_boat(service)
    page = f"{service.url}/doc/1234/{BOAT}"
    assert command.err.splitlines() == [
        'Document 5412 "A boat"',
        f"Page:     {page}",
        f"Old file: boat.jpg, 76,046 bytes, md5 {before}",
        f"New file: boat-new.jpg, {picture.stat().st_size:,} bytes, md5 {after}",
        "Backup:   none (--backup-to FOLDER keeps one)",
    ]
    assert command.out == f"Document 5412 carries boat-new.jpg (proof: md5).\nPage: {page}\n"
    assert replaced(service) == [BOAT]
    assert journals(state) == []


def test_the_document_may_be_its_page(service: Service, command: Command, picture: Path) -> None:
    assert command("replace", f"{service.url}/doc/1234/{BOAT}", str(picture), "--yes") == 0
    assert replaced(service) == [BOAT]


def test_a_dry_run_sends_nothing_and_asks_nothing(
    service: Service, command: Command, picture: Path
) -> None:
    assert command("replace", BOAT, str(picture), "--dry-run", "--json") == 0
    result = json.loads(command.out)
    assert (result["outcome"], result["doc_id"], result["filename"]) == (
        "planned",
        BOAT,
        "boat-new.jpg",
    )
    assert replaced(service) == []


def test_equal_bytes_are_not_sent_and_not_asked_about(
    service: Service, command: Command, picture: Path
) -> None:
    assert command("replace", BOAT, str(picture), "--yes") == 0
    for arguments in ([], ["--dry-run"]):
        assert command("replace", BOAT, str(picture), "--json", *arguments) == 0
        assert json.loads(command.out)["outcome"] == "unchanged"
    assert replaced(service) == [BOAT]


def test_a_backup_is_stored_first(
    service: Service, command: Command, picture: Path, tmp_path: Path
) -> None:
    before = md5_of_boat(service)
    folder = tmp_path / "backups"
    assert command("replace", BOAT, str(picture), "--yes", "--backup-to", str(folder)) == 0
    (backup,) = folder.iterdir()
    assert backup.name.startswith(f"{BOAT}-{before}-")
    assert f"Backup: {backup}\n" in command.out


def test_without_a_terminal_nothing_is_sent_unless_that_is_said(
    service: Service, command: Command, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert command("replace", BOAT, str(picture)) == 2
    assert command.err.endswith(
        "There is no terminal to ask at. Give --yes to send without being asked."
        " Nothing was sent.\n"
    )
    assert replaced(service) == []


@pytest.mark.parametrize(
    ("answer", "exit_code", "sent"), [("y\n", 0, [BOAT]), ("n\n", 1, []), ("\n", 1, [])]
)
def test_a_person_is_asked(
    service: Service, picture: Path, tmp_path: Path, answer: str, exit_code: int, sent: list[str]
) -> None:
    env = environment(
        tmp_path,
        AIRFLOW_CONN_IPERNITY_DEFAULT=connection_json(service.url),
        XDG_STATE_HOME=str(tmp_path / "state"),
        TERM="xterm",
    )
    with terminal(env, "replace", BOAT, str(picture)) as person:
        person.wait_for(r"Replace the file\? \[y/N\] ")
        person.type(answer)
        assert person.exit_code() == exit_code
    assert replaced(service) == sent
    assert ("carries boat-new.jpg" in person.seen) == bool(sent)
    assert ("Nothing was sent." in person.seen) == (not sent)
    assert ("Waiting for the service" in person.seen) == bool(sent)  # the bar


def test_a_new_document_is_a_failure_unless_it_may_be_kept(
    service: Service, command: Command, picture: Path, other_picture: Path
) -> None:
    service.set(replace_mode="new_document")
    assert command("replace", BOAT, str(picture), "--yes") == 1
    assert "The service created document" in command.err
    # The same command does not make another one.
    assert command("replace", BOAT, str(picture), "--yes") == 1
    assert replaced(service) == [BOAT]
    assert command("replace", "5413", str(other_picture), "--yes", "--on-new-document=keep") == 0
    assert "instead of replacing the file of 5413 (proof: md5)" in command.out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["5416", "{picture}"], "a file can only be replaced by one of its own class"),
        (["9999", "{picture}"], "document 9999"),
        (["boat", "{picture}"], "doc_id is 'boat', which is not a document's number"),
        (["5412", "{picture}.gone"], "does not exist. Nothing was sent."),
    ],
)
def test_what_cannot_be_replaced_is_one_line(
    service: Service, command: Command, picture: Path, arguments: list[str], sentence: str
) -> None:
    filled = [argument.format(picture=picture) for argument in arguments]
    assert command("replace", *filled, "--yes") == 1
    assert (command.out, command.err.count("\n")) == ("", 1), command.err
    assert sentence in command.err
    assert replaced(service) == []


def test_a_file_that_the_service_cannot_use_can_be_sent_again(
    service: Service, command: Command, picture: Path, state: Path
) -> None:
    service.set(invalid_next=1)
    assert command("replace", BOAT, str(picture), "--yes") == 1
    assert "could not use it" in command.err
    assert journals(state) == []
    assert command("replace", BOAT, str(picture), "--yes") == 0


def test_what_is_not_known_yet_is_exit_code_3_and_the_same_command_finds_out(
    service: Service, command: Command, connect: Connect, picture: Path, state: Path
) -> None:
    connect(resend_grace=60)
    service.set(processing_seconds=2)
    service.fail("code:503", "upload.replace", after_accepting=True)
    assert command("replace", BOAT, str(picture), "--yes") == 3
    assert command.err.rstrip().endswith("before it sends anything.")
    assert journals(state) == ["5412.json"]
    assert command("replace", BOAT, str(picture), "--yes") == 0
    assert replaced(service) == [BOAT]
    assert journals(state) == []


def test_a_file_that_was_rewritten_is_sent_again_by_the_same_command(
    service: Service, command: Command, picture: Path
) -> None:
    service.set(rewrite_bytes=True)
    assert command("replace", BOAT, str(picture), "--yes") == 1
    assert "proof='changed' accepts rewritten files. If it is not, the same command" in command.err
    assert "task" not in command.err
    service.set(rewrite_bytes=False)
    assert command("replace", BOAT, str(picture), "--yes") == 0
    assert replaced(service) == [BOAT, BOAT]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ('{"successor": "5414", "transferred": true}', True),
        ('{"sent_md5": null}', False),
        ("no JSON", False),
    ],
)
def test_who_has_taken_the_place_of_a_document_is_said(
    service: Service,
    command: Command,
    picture: Path,
    monkeypatch: pytest.MonkeyPatch,
    value: str,
    said: bool,
) -> None:
    place = service.url.partition("://")[2].replace(":", "-")
    monkeypatch.setenv(f"AIRFLOW_VAR_IPERNITY_{place}_{BOAT}".upper(), value)
    monkeypatch.setenv(f"AIRFLOW_VAR_IPERNITY_{place}_5414".upper(), "{}")
    assert command("replace", BOAT, str(picture), "--yes") == 0
    sentence = "Document 5414 has taken the place of document 5412: --on-new-document transfer"
    assert command.err.startswith(sentence) is said
    assert replaced(service) == [BOAT]


def test_what_cannot_be_known_names_no_task(
    service: Service, command: Command, picture: Path, state: Path
) -> None:
    service.set(md5_member="none", check_md5="nothing", replace_mode="new_document")
    service.fail("drop_after_accepting", "upload.replace")
    assert command("replace", BOAT, str(picture), "--yes", "--on-new-document", "keep") == 3
    assert "on_uncertain='send' sends the file again. Run the same command again" in command.err
    assert "task" not in command.err
    assert replaced(service) == [BOAT]


# -- interrupted -----------------------------------------------------------------------------------

# A test run in the background ignores SIGINT, and its children would inherit that.
_INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from ipernity_provider.__main__ import main
main()
"""


@pytest.fixture
def begin(service: Service, tmp_path: Path, state: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts ``replace`` in a process of its own."""
    env = environment(
        tmp_path,
        AIRFLOW_CONN_IPERNITY_DEFAULT=connection_json(service.url, resend_grace=1.0),
        XDG_STATE_HOME=str(state),
    )

    def start(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", _INTERRUPTIBLE, "replace", *arguments, "--yes"],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def record_where(state: Path, wanted: Callable[[dict[str, Any]], bool]) -> None:
    """Wait until the journal's record is as wanted."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for file in state.rglob("5412.json"):
            if wanted(json.loads(file.read_text())):
                return
        time.sleep(0.02)
    raise AssertionError("The journal has no such record.")


def large(path: Path) -> Path:
    """Draw a picture, and let 32 MB follow it, which no reader minds.

    The system's buffers hold up to 10 MB between client and service.
    """
    draw(path, "#123456")
    path.write_bytes(path.read_bytes() + bytes(32_000_000))
    return path


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_stopped_while_sending_nothing_has_arrived(
    service: Service,
    begin: Callable[..., subprocess.Popen[str]],
    command: Command,
    tmp_path: Path,
    state: Path,
    stop: signal.Signals,
) -> None:
    file = large(tmp_path / "large.jpg")
    service.set(receive_bytes_per_second=1_000_000)
    process = begin(BOAT, str(file))
    record_where(state, lambda record: not record["complete"])
    process.send_signal(stop)
    _, err = process.communicate(timeout=60)
    if stop is signal.SIGINT:
        assert (process.returncode, err.splitlines()[-1]) == (
            130,
            "Interrupted. Nothing was replaced.",
        )
    service.set(receive_bytes_per_second=None)
    assert replaced(service) == []
    assert command("replace", BOAT, str(file), "--yes") == 0
    assert replaced(service) == [BOAT]
    assert journals(state) == []


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_stopped_while_the_service_works_the_same_command_sends_nothing(
    service: Service,
    begin: Callable[..., subprocess.Popen[str]],
    command: Command,
    picture: Path,
    state: Path,
    stop: signal.Signals,
) -> None:
    service.set(processing_seconds=4)
    process = begin(BOAT, str(picture))
    record_where(state, lambda record: bool(record["ticket"]))
    process.send_signal(stop)
    _, err = process.communicate(timeout=60)
    if stop is signal.SIGINT:
        assert process.returncode == 130
        assert "Interrupted. The file may have arrived. Run the same command again" in err
    assert "5412.json" in journals(state)
    assert command("replace", BOAT, str(picture), "--dry-run") == 0
    assert "an earlier command may have sent a file (ticket 7" in command.err
    assert "not known yet" in command.out
    assert command("replace", BOAT, str(picture), "--yes") == 0
    assert "The service is asked first" in command.err
    assert replaced(service) == [BOAT]
    assert journals(state) == []


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_stopped_before_the_answer_the_same_command_sends_nothing(
    service: Service,
    begin: Callable[..., subprocess.Popen[str]],
    command: Command,
    picture: Path,
    state: Path,
    stop: signal.Signals,
) -> None:
    service.fail("slow:600", "upload.replace")
    process = begin(BOAT, str(picture))
    record_where(state, lambda record: bool(record["complete"]))
    until = time.monotonic() + 30
    while not replaced(service):
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(stop)
    process.communicate(timeout=60)
    assert command("replace", BOAT, str(picture), "--yes") == 0
    assert "The service is asked first" in command.err
    assert replaced(service) == [BOAT]
    assert journals(state) == []


def test_another_file_waits_until_the_first_one_is_settled(
    service: Service,
    begin: Callable[..., subprocess.Popen[str]],
    command: Command,
    picture: Path,
    other_picture: Path,
    state: Path,
    connect: Connect,
) -> None:
    connect(resend_grace=60)
    service.set(processing_seconds=600)
    process = begin(BOAT, str(picture))
    record_where(state, lambda record: bool(record["ticket"]))
    process.kill()
    process.communicate(timeout=60)
    assert command("replace", BOAT, str(other_picture), "--yes") == 3
    assert "is not settled yet" in command.err
    assert replaced(service) == [BOAT]
