"""The operator and the sensor as Airflow calls them; the service is real, the context minimal."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, cast

import pytest
from airflow.sdk import Context, ObjectStoragePath
from airflow.sdk.execution_time.context import OutletEventAccessors

from ipernity_provider.api.errors import PermanentError, RateLimited
from ipernity_provider.hooks.ipernity import IpernityHook
from ipernity_provider.operators.ipernity import ReplaceFileOperator
from ipernity_provider.replacement.errors import Cancelled, NotFinished, Refused
from tests.airflow_exceptions import AirflowFailException, AirflowSkipException
from tests.conftest import BOAT, Connect, Service


class TaskInstance:
    max_tries = 2

    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


class StateStore(dict[str, Any]):
    """Airflow's task state store, as far as it is used."""

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        self[key] = value

    def delete(self, key: str) -> None:
        self.pop(key, None)


def context(**parts: Any) -> Context:
    given = {
        "ti": TaskInstance(),
        "task_state_store": StateStore(),
        "outlet_events": OutletEventAccessors(),
    }
    return cast("Context", {**given, **parts})


def operator(file: Any, **options: Any) -> ReplaceFileOperator:
    options = {"doc_id": BOAT, "poll_interval": 0.1, "timeout": 20, **options}
    return ReplaceFileOperator(task_id="replace", file=file, **options)


@pytest.fixture(autouse=True)
def connection(connect: Connect) -> None:
    connect(resend_grace=1.0)


@pytest.mark.parametrize(
    "as_file",
    [str, Path, lambda path: f"file://{path}", lambda path: ObjectStoragePath(f"file://{path}")],
)
def test_a_file_is_named_in_many_ways(service: Service, picture: Path, as_file: Any) -> None:
    result = operator(as_file(picture)).execute(context())
    assert (result["outcome"], result["proof"], result["doc_id"]) == ("replaced", "md5", BOAT)
    assert len(service.ledger()) == 1


@pytest.mark.parametrize(
    "doc_id",
    [
        " 0005412\n",
        5412,
        5412.0,
        "5412.0",
        "https://www.ipernity.com/doc/1234/5412/in/album/9?lg=en#comments",
        "{sandbox}/doc/superman/5412/",
    ],
)
def test_a_document_is_named_in_many_ways_for_operator_and_hook_alike(
    service: Service, picture: Path, doc_id: Any
) -> None:
    if isinstance(doc_id, str):
        doc_id = doc_id.replace("{sandbox}", service.url)
    assert operator(picture, doc_id=doc_id).execute(context())["doc_id"] == BOAT
    assert IpernityHook().replace_file(doc_id, picture, if_unchanged="replace")["doc_id"] == BOAT
    assert [entry["doc_id"] for entry in service.ledger()] == [BOAT, BOAT]


@pytest.mark.parametrize(
    "doc_id", [True, -1, 5412.5, "boat", None, "https://example.org/doc/1/5412"]
)
def test_another_document_is_one_sentence_for_operator_and_hook_alike(
    service: Service, picture: Path, doc_id: Any
) -> None:
    with pytest.raises(
        AirflowFailException, match=r"^doc_id is .*\. Nothing was sent\.$"
    ) as of_operator:
        operator(picture, doc_id=doc_id).execute(context())
    with pytest.raises(Refused) as of_hook:
        IpernityHook().replace_file(doc_id, picture)
    assert str(of_operator.value) == str(of_hook.value)
    assert service.calls() == {}


@pytest.mark.parametrize(
    ("filename", "told"),
    [(2024, "2024"), (" chart.png ", "chart.png"), ("", "boat-new.jpg"), (None, "boat-new.jpg")],
)
def test_a_number_that_a_template_made_of_a_name_is_a_name(
    service: Service, picture: Path, filename: Any, told: str
) -> None:
    assert operator(picture, filename=filename).execute(context())["filename"] == told
    assert IpernityHook().replace_file(BOAT, picture, filename=filename)["filename"] == told
    assert service.ledger()[0]["filename"] == told


@pytest.mark.parametrize(
    "options", [{"filename": 2024.1}, {"filename": True}, {"file": ["a.jpg"]}, {"file": 1.5}]
)
def test_what_is_not_a_name(service: Service, picture: Path, options: dict[str, Any]) -> None:
    with pytest.raises(AirflowFailException, match=r"which is not a name: give text\."):
        operator(**{"file": picture, **options}).execute(context())
    assert service.calls() == {}


def test_not_waiting_returns_the_ticket(service: Service, picture: Path) -> None:
    result = operator(picture, wait_for_completion=False).execute(context())
    (accepted,) = service.ledger()
    assert (result["outcome"], result["ticket"], result["proof"]) == (
        "sent",
        accepted["ticket"],
        None,
    )
    assert service.calls().get("upload.checkTickets") is None


def test_the_link_is_known_even_if_the_task_fails_later(service: Service, picture: Path) -> None:
    service.set(replace_mode="new_document")
    there = context()
    with pytest.raises(
        AirflowFailException,
        match=rf"created document 1000\d instead of replacing the file of document {BOAT}",
    ):
        operator(picture).execute(there)
    assert cast("Any", there)["ti"].pushed["url"] == f"{service.url}/doc/1234/{BOAT}"


def test_an_unchanged_file_can_skip_the_task(service: Service, picture: Path) -> None:
    operator(picture).execute(context())
    with pytest.raises(AirflowSkipException, match="already carries these bytes"):
        operator(picture, if_unchanged="skip").execute(context())
    assert len(service.ledger()) == 1


def test_a_retry_attaches_to_the_upload_of_the_try_before(service: Service, picture: Path) -> None:
    service.set(processing_seconds=1.5)
    there = context()
    with pytest.raises(NotFinished):
        operator(picture, timeout=0.2).execute(there)
    assert operator(picture).execute(there)["outcome"] == "replaced"
    assert len(service.ledger()) == 1


def test_before_airflow_3_3_there_is_no_journal_and_it_is_said_once(
    service: Service, picture: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    there = context()
    cast("Any", there).pop("task_state_store")
    assert operator(picture).execute(there)["outcome"] == "replaced"
    assert caplog.text.count("no task state store") == 1


@pytest.mark.parametrize("kind", ["code:4", "code:6", "code:107"])
def test_a_permanent_error_ends_the_task_at_once(
    service: Service, picture: Path, kind: str
) -> None:
    service.fail(kind, "upload.replace")
    with pytest.raises(AirflowFailException, match=kind.replace(":", " ")) as caught:
        operator(picture).execute(context())
    assert type(caught.value).__module__ == "ipernity_provider.api.errors"
    assert isinstance(caught.value, PermanentError)
    assert caught.value.code == int(kind.removeprefix("code:"))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_transient_error_is_left_to_airflows_retries(service: Service, picture: Path) -> None:
    service.fail("code:113", "upload.replace")
    with pytest.raises(RateLimited):
        operator(picture).execute(context())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"file": ""}, "No file is named. Nothing was sent."),
        ({"file": None}, "No file is named. Nothing was sent."),
        (
            {"file": "s3://nowhere@media/boat.jpg", "file_conn_id": "other"},
            (
                "s3://media/boat.jpg cannot be opened: the connection 'nowhere' is not known. "
                "Nothing was sent."
            ),
        ),
        (
            {"doc_id": "boat"},
            "doc_id is 'boat', which is not a document's number such as 5412. Nothing was sent.",
        ),
        (
            {"proof": "sure"},
            (
                "proof is 'sure'; it must be one of 'best', 'md5', 'bytes', 'changed', 'none'. "
                "Nothing was sent."
            ),
        ),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_sent(
    service: Service, picture: Path, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(AirflowFailException) as caught:
        operator(**{"file": picture, **options}).execute(context())
    assert str(caught.value).startswith(sentence)
    assert service.ledger() == []


@pytest.mark.parametrize("roots", [["/data"], "/data"])
def test_the_connections_roots_hold_for_every_task(
    service: Service, picture: Path, connect: Connect, roots: Any
) -> None:
    connect(upload_roots=roots)
    with pytest.raises(AirflowFailException, match=r"lies outside the folders .* \(/data\)"):
        operator(picture).execute(context())
    assert service.ledger() == []


def test_a_number_from_an_upstream_task_will_do_as_a_document(
    service: Service, picture: Path
) -> None:
    assert operator(picture, doc_id=int(BOAT)).execute(context())["doc_id"] == BOAT


def test_being_killed_aborts_the_upload_and_the_next_try_sends_at_once(
    service: Service, picture: Path, connect: Connect
) -> None:
    os.truncate(picture, 64_000_000)  # more than the buffers on the way take in at once
    service.set(receive_bytes_per_second=4_000_000)
    connect(resend_grace=60.0)
    around = context()
    task = operator(picture)
    service.while_sending(task.on_kill)
    with pytest.raises(Cancelled, match="nothing was replaced"):
        task.execute(around)
    assert service.ledger() == []
    service.set(receive_bytes_per_second=None)
    begun = time.monotonic()
    assert operator(picture).execute(around)["outcome"] == "replaced"
    assert time.monotonic() - begun < 30
    assert len(service.ledger()) == 1
