"""The mails of the page about notifying, sent by a real Airflow to a real mail server."""

from __future__ import annotations

import email
import json
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from scripts.rig import AirflowApi, free_port, wait_for
from tests.conftest import BOAT, Service, draw
from tests.e2e.conftest import assert_green

pytestmark = pytest.mark.timeout(600)

DAG_ID = "ipernity_notify"


class MailServer:
    """Takes mails and keeps them."""

    def __init__(self) -> None:
        self.mails: list[Message] = []
        self.port = free_port()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append(email.message_from_bytes(envelope.content))
        return "250 OK"

    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mails]

    def text(self) -> str:
        (mail,) = self.mails
        payload = next(part for part in mail.walk() if part.get_content_type() == "text/html")
        return bytes(payload.get_payload(decode=True)).decode()


@pytest.fixture
def mail_server(airflow: AirflowApi) -> Iterator[MailServer]:
    server = MailServer()
    controller = Controller(server, hostname="127.0.0.1", port=server.port)
    controller.start()
    connection = {
        "conn_type": "smtp",
        "host": "127.0.0.1",
        "port": server.port,
        "extra": {"disable_ssl": True, "disable_tls": True},
    }
    airflow.store_connection("smtp_default", json.dumps(connection))
    yield server
    controller.stop()


def test_a_change_is_told_once_and_an_unchanged_file_is_not(
    airflow: AirflowApi, remote: Service, uploads: Path, mail_server: MailServer
) -> None:
    conf = {"document": BOAT, "file": str(draw(uploads / "told.jpg", "#654321"))}
    assert_green(airflow, DAG_ID, airflow.trigger(DAG_ID, **conf))
    wait_for("the mail", mail_server.subjects, 30)
    assert mail_server.subjects() == [f"Document {BOAT} was replaced"]
    assert f"/doc/1234/{BOAT}" in mail_server.text()
    unchanged = airflow.trigger(DAG_ID, **conf)
    assert_green(airflow, DAG_ID, unchanged)
    assert "Failed to run task callback" not in airflow.log(DAG_ID, unchanged, "replace")
    assert len(remote.ledger()) == len(mail_server.mails) == 1


def test_a_failure_is_told_with_its_sentence_and_the_page(
    airflow: AirflowApi, remote: Service, uploads: Path, mail_server: MailServer
) -> None:
    remote.set(replace_mode="new_document")
    file = draw(uploads / "untold.jpg", "#123321")
    run = airflow.trigger(DAG_ID, document=BOAT, file=str(file))
    assert airflow.wait_for_run(DAG_ID, run) == "failed"
    wait_for("the mail", mail_server.subjects, 30)
    assert mail_server.subjects() == [f"Document {BOAT} was not replaced"]
    (accepted,) = remote.ledger()
    for words in (f"created document {accepted['new_doc_id']}", f"/doc/1234/{BOAT}"):
        assert words in mail_server.text()


def test_a_run_that_takes_too_long_is_told(
    airflow: AirflowApi, remote: Service, uploads: Path, mail_server: MailServer
) -> None:
    remote.set(processing_seconds=20)
    file = draw(uploads / "late.jpg", "#321123")
    run = airflow.trigger("late", document=BOAT, file=str(file))
    assert_green(airflow, "late", run)
    wait_for("both mails", lambda: len(mail_server.mails) == 2, 60)
    assert sorted(mail_server.subjects()) == [
        f"Document {BOAT} was replaced",
        "The picture is late",
    ]
