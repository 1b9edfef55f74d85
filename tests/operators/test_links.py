"""What the links of a failed task need is pushed before it fails."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

import pytest
from airflow.sdk import Context

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.operators.ipernity import ReplaceFileOperator, ReplaceFilesOperator
from ipernity_provider.sensors.ipernity import TicketSensor
from tests.airflow_exceptions import AirflowFailException
from tests.conftest import BOAT, Connect, Service, draw
from tests.operators.test_operator import context


@pytest.fixture(autouse=True)
def connection(connect: Connect) -> None:
    connect(resend_grace=1.0)


def pushed(there: Context) -> dict[str, Any]:
    return dict(cast("Any", there)["ti"].pushed)


def single(file: Any, **options: Any) -> ReplaceFileOperator:
    return ReplaceFileOperator(
        task_id="replace", doc_id=BOAT, file=file, poll_interval=0.1, timeout=20, **options
    )


@pytest.mark.parametrize("dry_run", [False, True])
def test_the_document_of_a_refused_plan_is_known(
    service: Service, client: IpernityClient, tmp_path: Path, dry_run: bool
) -> None:
    film, there = tmp_path / "film.mp3", context()
    film.write_bytes(b"ID3" + bytes(2000))
    with pytest.raises(AirflowFailException, match="can only be replaced by one of its own class"):
        single(film, dry_run=dry_run).execute(there)
    assert pushed(there)["url"] == client.get_document(BOAT).link


def test_the_document_of_a_refused_upload_is_known(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.fail("code:100", "upload.replace", times=9)
    there = context()
    with pytest.raises(AirflowFailException):
        single(picture).execute(there)
    assert pushed(there)["url"] == client.get_document(BOAT).link


def test_the_report_of_a_refused_batch_is_known(service: Service, tmp_path: Path) -> None:
    report, there = tmp_path / "report.jsonl", context()
    rows = [{"doc_id": "404404", "file": str(draw(tmp_path / "a.png", "#101010"))}]
    with pytest.raises(AirflowFailException):
        ReplaceFilesOperator(task_id="replace", manifest=rows, report_to=report).execute(there)
    assert pushed(there)["report"] == str(report)


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_sensor_knows_the_document_and_the_new_one(
    service: Service, picture: Path, deferrable: bool
) -> None:
    service.set(replace_mode="new_document", processing_seconds=0)
    sent = single(picture, wait_for_completion=False).execute(context())
    with service.client() as client:  # the first look must find it finished, or the task defers
        while client.check_tickets([sent["ticket"]])[0].pending:
            time.sleep(0.05)
    there = context()
    with pytest.raises(AirflowFailException, match="created new documents"):
        TicketSensor(
            task_id="wait", tickets=sent, poke_interval=0.1, timeout=20, deferrable=deferrable
        ).execute(there)
    assert pushed(there)["url"] == sent["url"]
    assert pushed(there)["new_doc_id"] == service.ledger()[-1]["new_doc_id"]
