"""Which asset events a task leaves; how Airflow sends them is tested in tests/e2e/test_assets."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Asset, AssetAlias, Context
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.task_runner import _build_asset_profiles, _serialize_outlet_events

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.assets.changes import Change, file_uri
from ipernity_provider.assets.events import MOST_EVENTS, send_events
from ipernity_provider.assets.ipernity import ANY_DOCUMENT, ipernity_document
from ipernity_provider.operators.ipernity import ReplaceFileOperator, ReplaceFilesOperator
from ipernity_provider.triggers.events import settled
from scripts.rig import wait_for
from tests.airflow_exceptions import TaskDeferred
from tests.conftest import BOAT, Connect, Service, draw
from tests.hooks.test_memory import Supervisor
from tests.operators.test_operator import context

GALLERY = Asset("gallery", uri="x-test://gallery")


@pytest.fixture(autouse=True)
def connection(connect: Connect) -> None:
    connect(resend_grace=1.0)


def single(file: Any, **options: Any) -> ReplaceFileOperator:
    return ReplaceFileOperator(
        task_id="replace",
        **{"doc_id": BOAT, "file": file, "poll_interval": 0.1, "timeout": 20, **options},
    )


def sent(task: Any, there: Context) -> list[tuple[str, Any]]:
    """The events that Airflow sends: asset or alias -> document, each with its extra."""
    outlets = list(_build_asset_profiles(task.outlets))
    recorded: list[Any] = list(_serialize_outlet_events(there["outlet_events"]))
    found: list[tuple[str, Any]] = []
    for outlet in outlets:
        if outlet.type == "AssetAlias":
            found += [
                (f"{outlet.name} {event['dest_asset_key']['uri']}", event["extra"])
                for event in recorded
                if event.get("source_alias_name") == outlet.name
            ]
        else:
            extras = [
                event["extra"]
                for event in recorded
                if "source_alias_name" not in event
                and event["dest_asset_key"]["name"] == outlet.name
            ]
            found += [(str(outlet.name), extra) for extra in extras or [None]]
    return found


def md5(file: Path) -> str:
    return hashlib.md5(file.read_bytes()).hexdigest()


def test_a_changed_document_is_an_event_that_says_how(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    before = client.get_document(BOAT)
    task, there = single(picture, outlets=[GALLERY]), context()
    result = task.execute(there)
    extra = {
        "doc_id": BOAT,
        "url": before.link,
        "outcome": "replaced",
        "new_doc_id": None,
        "md5_before": before.md5,
        "md5_after": md5(picture),
        "bytes": picture.stat().st_size,
        "proof": "md5",
        "ticket": result["ticket"],
        "file": picture.as_uri(),
    }
    assert sent(task, there) == [
        ("gallery", extra),
        (f"{ANY_DOCUMENT} {ipernity_document(BOAT).uri}", extra),
    ]
    assert json.loads(json.dumps(extra)) == extra


def test_an_unchanged_document_is_no_event_not_even_of_outlets_that_the_user_named(
    service: Service, picture: Path
) -> None:
    single(picture).execute(context())
    named = [GALLERY, ipernity_document(BOAT), AssetAlias("mine"), Asset.ref(name="other")]
    there, task = context(), single(picture, outlets=named)
    assert task.execute(there)["outcome"] == "unchanged"
    assert sent(task, there) == []


def test_equal_bytes_that_were_sent_anyway_are_an_event_that_shows_it(
    service: Service, picture: Path
) -> None:
    single(picture).execute(context())
    there, task = context(), single(picture, if_unchanged="replace")
    task.execute(there)
    ((_, extra),) = sent(task, there)
    assert extra["md5_before"] == extra["md5_after"] == md5(picture)


@pytest.mark.parametrize("options", [{"dry_run": True}, {"wait_for_completion": False}])
def test_what_is_not_proven_to_have_changed_is_no_event(
    service: Service, picture: Path, options: dict[str, Any]
) -> None:
    there, task = context(), single(picture, outlets=[GALLERY], **options)
    task.execute(there)
    assert sent(task, there) == []


def test_a_new_document_that_is_kept_is_no_event_of_the_old_one(
    service: Service, picture: Path
) -> None:
    service.set(replace_mode="new_document")
    there, task = context(), single(picture, outlets=[GALLERY], on_new_document="keep")
    assert task.execute(there)["outcome"] == "new_document"
    assert sent(task, there) == []


def test_the_document_and_an_alias_among_the_outlets_get_one_event_each(
    service: Service, picture: Path
) -> None:
    named = [ipernity_document(BOAT), ipernity_document("5413"), AssetAlias("mine")]
    there, task = context(), single(picture, outlets=named)
    task.execute(there)
    uri = ipernity_document(BOAT).uri
    assert [name for name, _ in sent(task, there)] == [f"{ANY_DOCUMENT} {uri}", f"mine {uri}"]


@pytest.mark.parametrize("named", [None, GALLERY, [GALLERY], [AssetAlias(ANY_DOCUMENT), GALLERY]])
def test_airflow_knows_the_alias_before_the_first_event(named: Any) -> None:
    """Otherwise two tasks that end at once both make it, and Airflow calls one failed."""
    task = single("boat.jpg", outlets=named)
    mapped = ReplaceFileOperator.partial(task_id="replace", file="boat.jpg", outlets=named).expand(
        doc_id=["5412"]
    )
    for outlets in (task.outlets, mapped.outlets):
        assert outlets == [*([GALLERY] if named else []), AssetAlias(ANY_DOCUMENT)]


def test_a_resumed_task_names_the_file_that_was_sent(
    service: Service, client: IpernityClient, picture: Path
) -> None:
    service.set(processing_seconds=0.5)
    there = context()
    with pytest.raises(TaskDeferred) as deferred:
        single(picture, deferrable=True).execute(there)
    state = json.loads(json.dumps(deferred.value.trigger.serialize()[1]["state"]))
    (ticket,) = deferred.value.trigger.serialize()[1]["tickets"]
    wait_for("the end of the ticket", lambda: not client.check_tickets([ticket])[0].pending, 20)
    event = settled(client.check_tickets([ticket]), state)
    task = single("/data/another.jpg", deferrable=True)  # its template may give another name by now
    task.execute_complete(there, event)
    ((_, extra),) = sent(task, there)
    assert (extra["file"], extra["md5_after"]) == (picture.as_uri(), md5(picture))


def test_many_documents_are_one_event_each_and_one_of_the_users_assets(
    service: Service, tmp_path: Path
) -> None:
    same = draw(tmp_path / "same.png", "#123456")
    doc_ids = service.add_documents([same] * 5)
    rows = [{"doc_id": doc_id, "file": str(same)} for doc_id in doc_ids]
    for number in (1, 3, 4):
        rows[number]["file"] = str(draw(tmp_path / f"new{number}.png", f"#ff000{number}"))
    changed = [doc_ids[number] for number in (1, 3, 4)]
    there = context()
    task = ReplaceFilesOperator(
        task_id="replace",
        manifest=rows,
        poll_interval=0.2,
        timeout=20,
        report_to=tmp_path / "report.jsonl",
        outlets=[GALLERY, ipernity_document(doc_ids[0]), ipernity_document(doc_ids[1])],
    )
    task.execute(there)
    (gallery, summary), *documents = sent(task, there)
    assert gallery == "gallery"
    report = str(tmp_path / "report.jsonl")
    assert summary == {"changed": 3, "doc_ids": changed, "report": report}
    assert [name for name, _ in documents] == [
        f"{ANY_DOCUMENT} {ipernity_document(doc_id).uri}" for doc_id in changed
    ]
    for (_, extra), number in zip(documents, (1, 3, 4), strict=True):
        file = Path(rows[number]["file"])
        assert extra["file"] == file.as_uri()
        assert (extra["md5_before"], extra["md5_after"]) == (md5(same), md5(file))
        assert extra["url"].endswith(extra["doc_id"])

    there, again = context(), task.prepare_for_execution()
    again.outlets = [GALLERY]
    again.execute(there)
    assert sent(again, there) == []


def test_more_events_than_airflow_takes_at_once_are_not_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    task, there = single("/data/a.jpg"), context()
    facts: dict[str, Any] = dict.fromkeys(Change.__dataclass_fields__)
    changes = [Change(**{**facts, "doc_id": str(number + 1)}) for number in range(MOST_EVENTS + 1)]
    send_events(task, there, changes, {})
    assert len(sent(task, there)) == MOST_EVENTS


@pytest.mark.parametrize(
    ("file", "uri"),
    [
        ("/data/a b.jpg", "file:///data/a%20b.jpg"),
        ("file:///data/a%20b.jpg", "file:///data/a%20b.jpg"),
        (Path("/data/a.jpg"), "file:///data/a.jpg"),
        ("s3://conn@bucket/key.jpg?versionId=1", "s3://bucket/key.jpg"),
        ("GS://bucket/folder/key.jpg", "gs://bucket/folder/key.jpg"),
    ],
)
def test_the_uri_of_a_file_names_no_connection(file: Any, uri: str) -> None:
    assert file_uri(file) == uri


def test_a_transferred_document_is_an_event_that_names_its_successor(
    service: Service, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor(), raising=False)
    service.set(replace_mode="new_document")
    there, task = context(), single(picture, on_new_document="transfer")
    result = task.execute(there)
    ((name, extra),) = sent(task, there)
    assert name == f"{ANY_DOCUMENT} {ipernity_document(BOAT).uri}"
    assert (extra["outcome"], extra["doc_id"]) == ("transferred", BOAT)
    assert extra["new_doc_id"] == result["new_doc_id"] == service.ledger()[0]["new_doc_id"]
    assert extra["md5_after"] == md5(picture)
