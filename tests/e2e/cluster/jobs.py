"""Replacements on the cluster: started, caught at a moment, and held against the ledger."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from scripts.rig import AirflowApi, wait_for
from tests.conftest import Service, draw
from tests.e2e.cluster.machines import Cluster
from tests.object_storage import Bucket

#: Much larger than what the buffers on the way take in at once, so that its sending takes time.
BIG = 64 << 20
ROWS = 8
#: Seconds that the service works on a file: shorter than ``RESEND_GRACE``, as it is to be.
PROCESSING = 10.0
RESEND_GRACE = 25.0


@dataclass(frozen=True)
class Job:
    """A DAG run, and the files that documents are to carry after it.

    :param wanted: document -> MD5 of its new file.
    """

    name: str
    dag_id: str
    run_id: str
    wanted: dict[str, str]


@dataclass
class Lab:
    """A cluster, the service and the storage that its tasks use."""

    cluster: Cluster
    service: Service
    bucket: Bucket
    folder: Path
    #: Fault, moment, uploads, tries, and seconds from the fault to the end, of each job.
    table: list[tuple[str, str, int, int, float]] = field(default_factory=list)
    _number: int = 0

    @property
    def api(self) -> AirflowApi:
        return self.cluster.api

    # -- start -------------------------------------------------------------------------------------

    def make_files(self, count: int, size: int = 0) -> dict[str, str]:
        """Store new files, whose bytes no other has.

        :return: key in the bucket -> MD5.
        """
        made = {}
        for _ in range(count):
            self._number += 1
            path = draw(self.folder / f"new{self._number}.png", f"#ff{self._number:04x}")
            content = path.read_bytes()
            content += os.urandom(max(0, size - len(content)))
            self.bucket.put(path.name, content)
            made[path.name] = hashlib.md5(content).hexdigest()
        return made

    def make_documents(self, count: int) -> list[str]:
        return self.service.add_documents(
            draw(self.folder / "old.png", f"#{self._number:02x}{number:04x}")
            for number in range(count)
        )

    def start(self, name: str, doc_id: str, dag_id: str = "waits_in_worker", size: int = 0) -> Job:
        """Trigger a run that replaces one document's file."""
        ((key, md5),) = self.make_files(1, size).items()
        run = self.api.trigger(dag_id, doc_id=doc_id, file=f"s3://media@{self.bucket.name}/{key}")
        return Job(name, dag_id, run, {doc_id: md5})

    def start_batch(self, name: str, doc_ids: list[str], dag_id: str = "batch") -> Job:
        """Trigger a run that replaces the files of several documents, by a manifest."""
        files = self.make_files(len(doc_ids))
        rows = [{"doc_id": doc_id, "file": key} for doc_id, key in zip(doc_ids, files, strict=True)]
        self._number += 1
        manifest = f"manifest{self._number}.json"
        self.bucket.put(manifest, json.dumps(rows).encode())
        place = f"s3://media@{self.bucket.name}"
        run = self.api.trigger(
            dag_id, manifest=f"{place}/{manifest}", report=f"{place}/report{self._number}.jsonl"
        )
        return Job(name, dag_id, run, dict(zip(doc_ids, files.values(), strict=True)))

    def start_at_each_moment(self, lasting: int = 60) -> list[Job]:
        """Start three replacements; return once each is at the moment that its name says.

        :param lasting: seconds that an upload, its answer, and the waiting for its ticket take.
        """
        documents = self.make_documents(3)
        begun = self.service.calls().get("upload.replace", 0)
        # The first is held after its file was accepted.
        fault = {"method": "upload.replace", "kind": f"slow:{lasting}"}
        self.service.set(processing_seconds=PROCESSING, faults=[fault])
        jobs = [self.start("after sending", documents[0])]
        wait_for("the first upload", lambda: self.accepted(documents[0]), 60)
        self.service.set(processing_seconds=lasting, receive_bytes_per_second=BIG // lasting)
        jobs += [
            self.start("while waiting", documents[1]),
            self.start("while sending", documents[2], size=BIG),
        ]
        wait_for("three uploads", lambda: self.service.calls()["upload.replace"] == begun + 3, 60)
        wait_for("a ticket that is asked for", lambda: self.asks_for(documents[1]), 30)
        self.service.set(receive_bytes_per_second=None)
        return jobs

    def start_batches(self, *workers: str) -> list[Job]:
        """Start a batch on each of the workers; return once each has sent a half."""
        self.service.set(
            processing_seconds=1.0,
            faults=[{"method": "upload.replace", "kind": "slow:4", "times": ROWS * len(workers)}],
        )
        jobs = []
        for worker in workers:
            self.cluster.only_worker(worker)
            jobs.append(self.start_batch("a batch", self.make_documents(ROWS)))
            self.wait_for_state(jobs[-1], "running")
        for job in jobs:
            wait_for(
                "half of a batch", lambda job=job: self.accepted(*job.wanted) >= ROWS // 2, 90, 0.05
            )
        self.cluster.all_workers()
        self.service.set(faults=[])
        return jobs

    # -- look --------------------------------------------------------------------------------------

    def accepted(self, *doc_ids: str) -> int:
        """Return how many uploads to these documents the service has accepted."""
        return self.uploads_to(*doc_ids).total()

    def uploads_to(self, *doc_ids: str) -> Counter[tuple[str, str]]:
        """Return the uploads that the service has accepted, by document and MD5."""
        return Counter(
            (entry["doc_id"], entry["md5"])
            for entry in self.service.ledger()
            if entry["method"] == "upload.replace" and entry["doc_id"] in doc_ids
        )

    def asks_for(self, doc_id: str) -> bool:
        """Say whether a task has asked for the ticket of a document's upload."""
        return any(
            ticket["checks"] for ticket in self.service.tickets() if ticket["doc_id"] == doc_id
        )

    def task(self, job: Job) -> dict[str, Any]:
        (task,) = self.api.tasks(job.dag_id, job.run_id)
        return task

    def wait_for_state(self, job: Job, *states: str, seconds: float = 60.0) -> None:
        wait_for(
            f"{job.name} {states}", lambda: self.task(job)["state"] in states, seconds, every=0.3
        )

    def triggerers(self, jobs: list[Job]) -> set[int | None]:
        """Return the ids of the triggerers that wait for these jobs; None where none does yet."""
        return {(self.task(job)["triggerer_job"] or {}).get("id") for job in jobs}

    # -- compare -----------------------------------------------------------------------------------

    def end_of(self, job: Job, seconds: float = 150.0) -> str:
        """Wait for a run through all outages, restart what ends meanwhile, return its state."""

        def state() -> str:
            self.cluster.restart_what_ended()
            with suppress(requests.RequestException):
                found = self.api.get(f"/dags/{job.dag_id}/dagRuns/{job.run_id}")["state"]
                return found if found in {"success", "failed"} else ""
            return ""

        return str(wait_for(f"the end of {job}", state, seconds, every=0.3))

    def assert_done(self, fault: str, jobs: list[Job], since: float, *tries: int | range) -> None:
        """Require that jobs end green, each file sent once, each document with its file.

        :param since: ``time.monotonic()`` at the fault.
        :param tries: how many are right for each job.
        """
        wrong = []
        for job, right in zip(jobs, tries, strict=True):
            allowed = right if isinstance(right, range) else (right,)
            state = self.end_of(job)
            took, had = time.monotonic() - since, self.task(job)["try_number"]
            uploads = self.uploads_to(*job.wanted)
            with self.service.client() as client:
                carried = {doc_id: client.get_document(doc_id).md5 for doc_id in job.wanted}
            once = Counter(job.wanted.items())
            self.table.append((fault, job.name, uploads.total(), had, took))
            if (state, uploads, carried) != ("success", once, job.wanted) or had not in allowed:
                wrong.append(
                    f"{fault}, {job.name}: {state} after {had} tries ({allowed} expected), uploads"
                    f" {uploads}, carried {carried}, wanted {job.wanted}\n{self.logs(job)}"
                )
        assert not wrong, "\n".join(wrong)

    def show_table(self) -> None:
        print(f"\n{'fault':24}{'moment':16}{'uploads':>8}{'tries':>6}{'seconds':>9}")
        for fault, moment, uploads, tries, seconds in self.table:
            print(f"{fault:24}{moment:16}{uploads:8}{tries:6}{seconds:9.0f}")

    def logs(self, job: Job) -> str:
        """Return what all workers have logged of a job."""
        pattern = f"*/logs/dag_id={job.dag_id}/run_id={job.run_id}/**/*.log"
        found = sorted(self.folder.glob(pattern))
        return "\n".join(f"== {path}\n{path.read_text()[-4000:]}" for path in found)
