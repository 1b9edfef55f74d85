"""A whole verified replacement beside the bare upload, at an uplink of 1 Gbit/s over TLS.

The bare upload sends the file and takes the ticket. The replacement hashes the file, asks whether
it may be sent, sends it and hashes it again on the way, waits for the ticket and compares the
checksums; the service needs no time to process it. Both run in turn, in this process. In the
environment: BENCH_REPLACE_MIB (1024), BENCH_UPLINK_MBIT (1000), BENCH_ROUNDS (5).
"""

from __future__ import annotations

import hashlib
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.loopback import (
    MIB,
    Calm,
    Certificates,
    client_env,
    file_of,
    into_the_page_cache,
    receiving,
    setting,
    workplace,
)
from benchmarks.measure import Usage, table
from benchmarks.receiver import TICKET
from benchmarks.ways import DOC_ID, KEY, SECRET, TOKEN
from ipernity_provider.api.client import IpernityClient
from ipernity_provider.files.checksums import inspect_file
from ipernity_provider.replacement.replace import replace_file
from ipernity_provider.replacement.request import ReplaceRequest

(SIZE,) = setting("BENCH_REPLACE_MIB", "1024")
(UPLINK,) = setting("BENCH_UPLINK_MBIT", "1000")
(ROUNDS,) = setting("BENCH_ROUNDS", "5")
MOST_TIME = 1.25

Act = Callable[[IpernityClient, Path], object]


def bare_upload(client: IpernityClient, file: Path) -> None:
    client.upload_replace(DOC_ID, file)


def replacement(client: IpernityClient, file: Path) -> None:
    result = replace_file(client, ReplaceRequest(doc_id=DOC_ID, file=file))
    if result.proof != "md5":
        raise RuntimeError(f"the replacement was not verified: {result}")


def first_hash(_: IpernityClient, file: Path) -> None:
    inspect_file(file)


ACTS: dict[str, Act] = {
    "bare upload": bare_upload,
    "verified replacement": replacement,
    "of it: the hash before": first_hash,
}


def service_with(md5: str, size: int) -> dict[str, list[Any]]:
    """Return the service's replies about the document, before and after, and the account.

    Before and after: the file has not arrived yet, and it has.
    """

    def document(replaced_at: int, **original: Any) -> dict[str, Any]:
        dates = {"posted_at": "1700000000", "replaced_at": str(replaced_at)}
        doc = {
            "doc_id": DOC_ID,
            "media": "photo",
            "owner": {"user_id": "1"},
            "dates": dates,
            "original": original,
        }
        return {"doc": doc}

    ticket = {"id": TICKET, "done": "1", "invalid": "0", "eta": "0", "doc_id": DOC_ID}
    user = {"user_id": "1", "username": "bench", "is_pro": "1"}
    return {
        "doc.get": [
            document(0, bytes="1", md5="0" * 32),
            document(int(time.time()), bytes=str(size), md5=md5),
        ],
        "doc.checkMD5": [{"docs": {"doc": []}}],
        "auth.checkToken": [{"auth": {"user": user, "permissions": {"doc": "write"}}}],
        "account.getQuota": [{"quota": {"is_pro": "1"}}],
        "upload.checkTickets": [{"tickets": {"ticket": [ticket]}}],
    }


def measure(
    act: Act, file: Path, certificates: Certificates, replies: dict[str, list[Any]]
) -> tuple[float, float]:
    """Seconds and CPU seconds; each time with a receiver that nothing was sent to yet."""
    into_the_page_cache(file)
    with (
        receiving(certificates, rate=UPLINK * 1e6 / 8, replies=replies) as receiver,
        IpernityClient(KEY, SECRET, token=TOKEN, base_url=receiver.url) as client,
    ):
        used, began = Usage.now().cpu, time.perf_counter()
        act(client, file)
        return time.perf_counter() - began, Usage.now().cpu - used


def main() -> None:
    print(f"Replacing a file of {SIZE} MiB over https at {UPLINK} Mbit/s, {ROUNDS} rounds")
    calm = Calm()
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ACTS}
    with workplace() as folder, file_of(folder, SIZE) as file:
        certificates = Certificates.made_in(folder)
        os.environ.update(client_env(certificates))
        with file.open("rb") as stream:
            replies = service_with(hashlib.file_digest(stream, "md5").hexdigest(), SIZE * MIB)
        for number in range(ROUNDS):
            for name in list(ACTS)[:: 1 if number % 2 == 0 else -1]:
                calm.wait()
                taken[name].append(measure(ACTS[name], file, certificates, replies))
            print(f"  round {number + 1} of {ROUNDS}", file=sys.stderr, flush=True)
    _report(taken)
    print(calm)


def _report(taken: dict[str, list[tuple[float, float]]]) -> None:
    bare = [seconds for seconds, _ in taken["bare upload"]]
    ratios = {
        name: statistics.median(
            seconds / beside for (seconds, _), beside in zip(runs, bare, strict=True)
        )
        for name, runs in taken.items()
    }
    rows = [
        [
            name,
            f"{statistics.median(seconds for seconds, _ in runs):.2f}",
            f"{ratios[name]:.2f}",
            f"{statistics.median(cpu for _, cpu in runs):.2f}",
        ]
        for name, runs in taken.items()
    ]
    print(table(["", "seconds", "/ bare upload", "CPU s"], rows))
    ratio, hashing = ratios["verified replacement"], ratios["of it: the hash before"]
    verdict = "holds " if ratio <= MOST_TIME else "MISSED"
    print(
        f"  {verdict}  {ratio:.2f} of the bare upload's time, at most {MOST_TIME}; the hash before"
        f" is {hashing:.2f} of it"
    )


if __name__ == "__main__":
    main()
