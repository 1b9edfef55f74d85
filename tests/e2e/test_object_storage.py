"""Real DAG runs that replace files from an S3 server, and say in a sentence what is wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from scripts.rig import AirflowApi, free_port, wait_for
from tests.conftest import Service
from tests.e2e.conftest import make_pairs, replacements
from tests.object_storage import MIB, Bucket, connection_to
from tests.replacement.support import md5_of

pytestmark = pytest.mark.timeout(600)

DAG_ID = "object_storage"
CLOSED = f"http://127.0.0.1:{free_port()}"


@pytest.fixture
def stored(airflow: AirflowApi, bucket: Bucket) -> Bucket:
    """The bucket, with connections to it in Airflow's database."""
    storage = bucket.storage
    for conn_id, connection in {
        "media": storage.connection(),
        "media_wrong_secret": storage.connection(secret="wr0ngwr0ngwr0ng"),
        "unreachable": connection_to(CLOSED),
    }.items():
        airflow.store_connection(conn_id, connection)
    return bucket


def replace_all(airflow: AirflowApi, runs: list[dict[str, Any]]) -> tuple[str, list[str]]:
    """The state of each task of one run."""
    run = airflow.trigger(DAG_ID, runs=runs)
    airflow.wait_for_run(DAG_ID, run, seconds=240)
    tasks = [task for task in airflow.tasks(DAG_ID, run) if task["task_id"] == "replace"]
    return run, [task["state"] for task in sorted(tasks, key=lambda task: task["map_index"])]


def log_of(airflow: AirflowApi, run: str, map_index: int) -> str:
    return str(airflow.log(DAG_ID, run, "replace", map_index=map_index))


def test_pictures_come_from_a_bucket_and_each_failure_is_one_sentence(
    airflow: AirflowApi, remote: Service, uploads: Path, stored: Bucket
) -> None:
    pairs = make_pairs(remote, uploads, 2)
    files = [Path(pair["file"]) for pair in pairs]
    for file in files:
        stored.put(f"2026/{file.name}", file.read_bytes())
    good = [
        {"doc_id": pairs[0]["doc_id"], "file": f"s3://media@{stored.name}/2026/{files[0].name}"},
        {
            "doc_id": pairs[1]["doc_id"],
            "file": f"s3://{stored.name}/2026/{files[1].name}",
            "file_conn_id": "media",
            "backup_to": f"s3://{stored.name}/backups",
        },
    ]
    place = f"{stored.name}/2026/{files[0].name}"
    bad = {
        f"s3://media@{stored.name}/missing.jpg": "does not exist. Nothing was sent.",
        f"s3://media_wrong_secret@{place}": "cannot be read: access is denied",
        f"s3://nowhere@{place}": "the connection 'nowhere' is not known. Nothing was sent.",
        f"s3://unreachable@{place}": "(EndpointConnectionError)",
    }
    run, states = replace_all(
        airflow, good + [{"doc_id": pairs[0]["doc_id"], "file": file} for file in bad]
    )
    assert states == ["success"] * len(good) + ["failed"] * len(bad)
    assert sorted(entry["md5"] for entry in replacements(remote)) == sorted(
        md5_of(file) for file in files
    )
    assert [key.rpartition("/")[0] for key in stored.stored()].count("backups") == 1
    secrets = (stored.storage.owner.secret, "wr0ngwr0ngwr0ng")
    for map_index, sentence in enumerate(bad.values(), len(good)):
        log = log_of(airflow, run, map_index)
        assert sentence in log
        assert not any(secret in log for secret in secrets)


def test_an_object_that_vanishes_before_it_is_sent(
    airflow: AirflowApi, remote: Service, uploads: Path, stored: Bucket
) -> None:
    (pair,) = make_pairs(remote, uploads, 1)
    stored.put("boat.jpg", Path(pair["file"]).read_bytes())
    remote.set(faults=[{"method": "account.getQuota", "times": 1, "kind": "slow:4"}])
    run = airflow.trigger(
        DAG_ID, runs=[{"doc_id": pair["doc_id"], "file": f"s3://media@{stored.name}/boat.jpg"}]
    )
    wait_for("the plan", lambda: remote.calls().get("account.getQuota"), 60, every=0.1)
    stored.delete("boat.jpg")
    assert airflow.wait_for_run(DAG_ID, run) == "failed"
    assert "; nothing was replaced." in log_of(airflow, run, 0)
    assert replacements(remote) == []


def test_an_object_that_vanishes_while_it_is_sent_and_how_far_it_had_come(
    airflow: AirflowApi, remote: Service, uploads: Path, stored: Bucket
) -> None:
    (pair,) = make_pairs(remote, uploads, 1)
    stored.put("boat.jpg", Path(pair["file"]).read_bytes().ljust(40 * MIB, b"\0"))
    remote.set(receive_bytes_per_second=5 * MIB)
    run = airflow.trigger(
        DAG_ID, runs=[{"doc_id": pair["doc_id"], "file": f"s3://media@{stored.name}/boat.jpg"}]
    )
    wait_for("the upload", lambda: remote.calls().get("upload.replace"), 60, every=0.1)
    wait_for(
        "a line of progress", lambda: re.search(r"Sent \d+ of 40 MiB", log_of(airflow, run, 0)), 60
    )
    stored.delete("boat.jpg")
    assert airflow.wait_for_run(DAG_ID, run) == "failed"
    assert "; nothing was replaced." in log_of(airflow, run, 0)
    assert replacements(remote) == []
