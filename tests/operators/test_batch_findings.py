"""A manifest in an account that is known to get new documents for photos."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from ipernity_provider.hooks.ipernity import IpernityHook
from ipernity_provider.operators.ipernity import ReplaceFilesOperator
from ipernity_provider.probe.samples import make_sample
from ipernity_provider.replacement.errors import Refused
from tests.airflow_exceptions import AirflowFailException
from tests.conftest import Connect, Service
from tests.hooks.test_memory import Supervisor
from tests.hooks.test_memory import supervisor as supervisor  # noqa: PLC0414 - a fixture
from tests.operators.test_operator import context
from tests.replacement.test_new_document_known import findings

#: Documents of the sandbox, each with the class of its file.
DOCUMENTS = {"5412": "photo", "5417": "audio", "5413": "photo", "5416": "other", "5418": "video"}
PHOTOS = ("5412", "5413")
RENEWED = "If the service has changed, `airflow ipernity probe --store` renews what is known."


@pytest.fixture(autouse=True)
def connection(service: Service, connect: Connect) -> None:
    service.set(replace_mode={"photo": "new_document"}, processing_seconds=0.05)
    connect(resend_grace=1.0, findings=findings())


@pytest.fixture
def manifest(tmp_path: Path) -> list[dict[str, str]]:
    rows = []
    for doc_id, media in DOCUMENTS.items():
        sample = make_sample(media, f"{int(doc_id):x}", 1)
        (tmp_path / sample.name).write_bytes(sample.data)
        rows.append({"doc_id": doc_id, "file": str(tmp_path / sample.name)})
    return rows


def operator(manifest: Any, folder: Path, **options: Any) -> ReplaceFilesOperator:
    return ReplaceFilesOperator(
        task_id="replace",
        manifest=manifest,
        report_to=str(folder / "report.jsonl"),
        **{"poll_interval": 0.2, "timeout": 20, **options},
    )


def report(folder: Path) -> dict[str, Any]:
    lines = map(json.loads, (folder / "report.jsonl").read_text().splitlines())
    return {line["doc_id"]: line for line in lines}


def sent_to(service: Service) -> list[str]:
    return sorted(entry["doc_id"] for entry in service.ledger())


def test_each_photo_is_refused_before_anything_is_sent(
    service: Service, manifest: list[dict[str, str]], tmp_path: Path
) -> None:
    with pytest.raises(AirflowFailException) as caught:
        operator(manifest, tmp_path).execute(context())
    assert sent_to(service) == []
    message = str(caught.value)
    assert message.startswith("2 of 5 cannot be replaced, so nothing was sent.\n")
    for doc_id in PHOTOS:
        assert f"document {doc_id}: This account gets a new document for photos" in message
    assert message.count(RENEWED) == 2
    rows = report(tmp_path)
    assert {doc_id for doc_id, row in rows.items() if row["outcome"] == "refused"} == set(PHOTOS)
    assert all(RENEWED in rows[doc_id]["error"] for doc_id in PHOTOS)


def test_rows_of_other_media_go_through(
    service: Service,
    manifest: list[dict[str, str]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO), pytest.raises(AirflowFailException) as caught:
        operator(manifest, tmp_path, on_error="continue").execute(context())
    assert "Of 5 replacements: 3 replaced, 2 refused." in str(caught.value)
    assert sent_to(service) == ["5416", "5417", "5418"]
    outcomes = {doc_id: row["outcome"] for doc_id, row in report(tmp_path).items()}
    assert outcomes == dict.fromkeys(DOCUMENTS, "replaced") | dict.fromkeys(PHOTOS, "refused")
    assert all(RENEWED in row["error"] for row in report(tmp_path).values() if row["error"])


def test_a_dry_run_names_the_photos(
    service: Service, manifest: list[dict[str, str]], tmp_path: Path
) -> None:
    result = operator(manifest, tmp_path, dry_run=True).execute(context())
    assert (result["planned"], result["refused"]) == (3, 2)
    assert all(RENEWED in report(tmp_path)[doc_id]["error"] for doc_id in PHOTOS)
    assert sent_to(service) == []


@pytest.mark.parametrize(
    ("choice", "outcome"), [("keep", "new_document"), ("transfer_keep", "transferred")]
)
def test_who_says_what_to_do_with_a_new_document_may_send(
    service: Service,
    manifest: list[dict[str, str]],
    tmp_path: Path,
    choice: str,
    outcome: str,
    supervisor: Supervisor,
) -> None:
    result = operator(manifest, tmp_path, on_new_document=choice).execute(context())
    assert (result["replaced"], result[outcome]) == (3, 2)
    assert sent_to(service) == sorted(DOCUMENTS)
    assert {row["new_doc_id"] for row in report(tmp_path).values()} >= {"10001", "10002"}
    assert not any(row["error"] for row in report(tmp_path).values())


def test_a_taskflow_function_is_told_the_same(
    service: Service, manifest: list[dict[str, str]]
) -> None:
    with pytest.raises(Refused, match="2 of 5 cannot be replaced"):
        IpernityHook().replace_files(manifest, poll_interval=0.2)
    assert sent_to(service) == []
