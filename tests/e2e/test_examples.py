"""The example DAGs, run by a real Airflow against the sandbox."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from pathlib import Path

import pytest
import requests

from scripts.rig import AirflowApi, wait_for
from tests.conftest import BOAT, SECRETS, Service, draw
from tests.e2e.conftest import assert_green, make_pairs, replacements

pytestmark = pytest.mark.timeout(900)

RESULT = ("outcome", "doc_id", "ticket", "new_doc_id", "filename", "bytes", "md5", "proof", "url")


def test_the_file_of_a_document_is_replaced_from_the_trigger_button(
    airflow: AirflowApi, remote: Service, uploads: Path
) -> None:
    file = draw(uploads / "boat.jpg", "#336699")
    run = airflow.trigger("ipernity_replace_file", document=BOAT, file=str(file))
    assert_green(airflow, "ipernity_replace_file", run)

    (accepted,) = remote.ledger()
    md5 = hashlib.md5(file.read_bytes()).hexdigest()
    assert (accepted["method"], accepted["doc_id"], accepted["md5"]) == (
        "upload.replace",
        BOAT,
        md5,
    )
    result = airflow.xcom("ipernity_replace_file", run, "replace")
    assert (result["outcome"], result["proof"], result["md5"]) == ("replaced", "md5", md5)
    # Airflow's REST API shows text of digits as a number.
    single = {key: airflow.xcom("ipernity_replace_file", run, "replace", key) for key in RESULT}
    assert {key: str(value) for key, value in single.items()} == {
        key: str(result[key]) for key in RESULT
    }

    links = airflow.get(f"/dags/ipernity_replace_file/dagRuns/{run}/taskInstances/replace/links")
    page = requests.get(links["extra_links"]["Document"], timeout=10)
    assert page.ok
    assert md5 in page.text
    log = airflow.log("ipernity_replace_file", run, "replace")
    assert "replaces the file of document 5412" in log
    assert not any(secret in log for secret in SECRETS)


def test_a_new_document_fails_the_task_without_a_retry_and_both_are_named(
    airflow: AirflowApi, remote: Service, uploads: Path
) -> None:
    remote.set(replace_mode="new_document")
    file = draw(uploads / "stray.jpg", "#993366")
    run = airflow.trigger("ipernity_replace_file", document=BOAT, file=str(file))
    assert airflow.wait_for_run("ipernity_replace_file", run) == "failed"
    (accepted,) = remote.ledger()
    task = {found["task_id"]: found for found in airflow.tasks("ipernity_replace_file", run)}[
        "replace"
    ]
    assert (task["state"], task["try_number"]) == ("failed", 1)
    path = f"/dags/ipernity_replace_file/dagRuns/{run}/taskInstances/replace/links"
    links = airflow.get(path)["extra_links"]
    assert requests.get(links["Document"], timeout=10).ok
    assert links["New document"].endswith(f"/{accepted['new_doc_id']}")
    assert requests.get(links["New document"], timeout=10).ok
    log = airflow.log("ipernity_replace_file", run, "replace")
    assert re.search(
        (
            rf"created document {accepted['new_doc_id']} instead of replacing the file of "
            rf"document {BOAT}"
        ),
        log,
    )


def test_a_file_outside_the_connections_roots_is_refused(
    airflow: AirflowApi, remote: Service
) -> None:
    run = airflow.trigger("ipernity_replace_file", document=BOAT, file="/etc/passwd")
    assert airflow.wait_for_run("ipernity_replace_file", run) == "failed"
    assert "/etc/passwd lies outside the folders" in airflow.log(
        "ipernity_replace_file", run, "replace"
    )
    assert remote.ledger() == []


def test_a_document_that_is_no_number_is_refused_by_the_form(
    airflow: AirflowApi, remote: Service
) -> None:
    with pytest.raises(RuntimeError, match=r"400.*document"):
        airflow.trigger("ipernity_replace_file", document="a boat", file="/data/boat.jpg")


def test_a_manifest_of_many_waits_for_the_volume_and_is_reported_on(
    airflow: AirflowApi, remote: Service, uploads: Path
) -> None:
    pairs = make_pairs(remote, uploads, 5)
    with (uploads / "many.csv").open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["doc_id", "file"])
        writer.writerows([pair["doc_id"], Path(pair["file"]).name] for pair in pairs)
    remote.set(processing_seconds=2.0)
    run = airflow.trigger(
        "ipernity_replace_many", manifest=str(uploads / "many.csv"), reports=str(uploads / "told")
    )
    assert_green(airflow, "ipernity_replace_many", run)
    assert airflow.xcom("ipernity_replace_many", run, "volume") > 50_000_000
    assert airflow.xcom("ipernity_replace_many", run, "replace", "replaced") == 5
    path = f"/dags/ipernity_replace_many/dagRuns/{run}/taskInstances/replace/links"
    table = requests.get(airflow.get(path)["extra_links"]["Report"], timeout=10)
    assert table.ok, table.text
    assert "ipernity_replace_many" in table.text
    (report,) = (uploads / "told").iterdir()  # named after the run, so that the next one keeps it
    assert re.fullmatch(r"[\w.-]+\.jsonl", report.name)
    assert airflow.xcom("ipernity_replace_many", run, "replace", "report") == str(report)
    outcomes = {
        row["doc_id"]: row["outcome"] for row in map(json.loads, report.read_text().splitlines())
    }
    assert outcomes == {pair["doc_id"]: "replaced" for pair in pairs}
    assert sorted(entry["doc_id"] for entry in replacements(remote)) == sorted(outcomes)


def test_the_nightly_refresh_sends_what_has_changed_and_waits_for_all_of_it(
    airflow: AirflowApi, remote: Service, uploads: Path
) -> None:
    airflow.send(
        "POST",
        "/pools",
        {"name": "ipernity_uploads", "slots": 2, "description": "uploads at a time"},
    )
    unchanged = draw(uploads / "unchanged.jpg", "#111111")
    old = (draw(uploads / f"old{n}.jpg", f"#22{n}{n}22") for n in range(3))
    seeded = remote.add_documents([unchanged, *old])
    remote.set(processing_seconds=2.0)
    with (uploads / "manifest.csv").open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["doc_id", "file"])
        writer.writerow([seeded[0], "unchanged.jpg"])
        for number, doc_id in enumerate(seeded[1:]):
            draw(uploads / f"new{number}.jpg", f"#44{number}{number}44")
            writer.writerow([doc_id, f"new{number}.jpg"])

    run = airflow.trigger("ipernity_nightly_refresh", manifest=str(uploads / "manifest.csv"))
    assert_green(airflow, "ipernity_nightly_refresh", run)
    assert sorted(entry["doc_id"] for entry in replacements(remote)) == sorted(seeded[1:])
    summary = airflow.xcom("ipernity_nightly_refresh", run, "replace")
    assert (summary["total"], summary["replaced"], summary["unchanged"]) == (4, 3, 1)


def test_a_cleared_task_sends_nothing_while_its_file_is_there_and_a_new_run_finds_it_unchanged(
    airflow: AirflowApi, remote: Service, uploads: Path
) -> None:
    dag_id, file = "ipernity_replace_file", draw(uploads / "cleared.jpg", "#55aa11")
    run = airflow.trigger(dag_id, document=BOAT, file=str(file))
    assert_green(airflow, dag_id, run)
    airflow.clear(dag_id, run)
    assert_green(airflow, dag_id, run, tries=2)
    assert "already carries these bytes" in airflow.log(dag_id, run, "replace", try_number=2)
    again = airflow.trigger(dag_id, document=BOAT, file=str(file))
    assert_green(airflow, dag_id, again)
    assert airflow.xcom(dag_id, again, "replace")["outcome"] == "unchanged"
    assert len(remote.ledger()) == 1


def test_a_backup_is_kept_and_restored(airflow: AirflowApi, remote: Service, uploads: Path) -> None:
    with remote.client() as client:
        before = client.get_document(BOAT)
    file, backups = draw(uploads / "edited.jpg", "#88ccee"), uploads / "backups"
    run = airflow.trigger(
        "ipernity_replace_with_backup", document=BOAT, file=str(file), backups=str(backups)
    )
    assert_green(airflow, "ipernity_replace_with_backup", run)
    backup = airflow.xcom("ipernity_replace_with_backup", run, "replace")["backup"]
    assert hashlib.md5(Path(backup).read_bytes()).hexdigest() == before.md5

    page = f"https://www.ipernity.com/doc/1234/{BOAT}/in/album/99"
    run = airflow.trigger("ipernity_restore_backup", document=page, backups=str(backups))
    assert_green(airflow, "ipernity_restore_backup", run)
    with remote.client() as client:
        assert client.get_document(BOAT).md5 == before.md5


def test_no_backup_means_nothing_to_restore_and_no_retry(
    airflow: AirflowApi, remote: Service, uploads: Path
) -> None:
    run = airflow.trigger("ipernity_restore_backup", document="777", backups=str(uploads))
    assert airflow.wait_for_run("ipernity_restore_backup", run) == "failed"
    tasks = {task["task_id"]: task for task in airflow.tasks("ipernity_restore_backup", run)}
    assert (tasks["newest_backup"]["state"], tasks["newest_backup"]["try_number"]) == ("failed", 1)
    log = airflow.log("ipernity_restore_backup", run, "newest_backup")
    assert f"{uploads} holds no backup of document 777. Nothing was sent." in log
    assert remote.ledger() == []


def test_a_document_that_goes_ahead_alone_keeps_the_others_from_being_sent(
    airflow: AirflowApi, remote: Service, uploads: Path
) -> None:
    documents = remote.add_documents([draw(uploads / "old.jpg", "#010203")] * 4)
    remote.set(replace_mode="new_document")
    new = draw(uploads / "new.jpg", "#040506")
    run = airflow.trigger(
        "canary", pairs=[{"doc_id": doc_id, "file": str(new)} for doc_id in documents]
    )
    assert airflow.wait_for_run("canary", run) == "failed"
    assert [entry["method"] for entry in remote.ledger()].count("upload.replace") == 1


def test_a_rate_limit_is_waited_for_longer_than_the_tasks_own_delay(
    airflow: AirflowApi, remote: Service, uploads: Path
) -> None:
    remote.fail("code:113", "upload.replace")
    dag_id = "ipernity_replace_file"
    run = airflow.trigger(dag_id, document=BOAT, file=str(draw(uploads / "limited.jpg", "#778899")))

    def waiting() -> bool:
        return any(found["state"] == "up_for_retry" for found in airflow.tasks(dag_id, run))

    wait_for("the retry", waiting, 60)
    assert "waiting 0:05:00" in airflow.log(dag_id, run, "replace")
    airflow.send("PATCH", f"/dags/{dag_id}/dagRuns/{run}", {"state": "failed"})
    assert remote.ledger() == []
