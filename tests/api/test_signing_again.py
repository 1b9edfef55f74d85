"""OAuth nonces and timestamps that the service refuses: signed again, for a while; and processes that share a token."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ipernity_provider.api.errors import StaleSignature
from tests.api.test_errors import call
from tests.conftest import API_KEY, API_SECRET, CREDENTIALS, Service, draw

PROCESSES = 20
CALLS = 8

# Each process of its own account of time: they start together and sign whenever they come to it.
SHARER = """
import json, sys
from pathlib import Path
from ipernity_provider.api.client import IpernityClient
url, credentials, doc_id, file = json.loads(sys.argv[1])
with IpernityClient(**credentials, base_url=url, attempts=1) as client:
    sys.stdin.readline()
    for _ in range({calls}):
        client.get_document(doc_id)
    print(client.upload_replace(doc_id, Path(file)).ticket)
"""


@pytest.mark.parametrize("code", [133, 134])
@pytest.mark.parametrize("method", ["doc.get", "upload.replace"])
def test_a_refused_nonce_or_timestamp_is_signed_again(
    service: Service, picture: Path, method: str, code: int
) -> None:
    service.fail(f"code:{code}", method, times=2)
    with service.client("oauth", attempts=1) as client:
        call(client, method, picture)
    assert service.calls()[method] == 3
    assert len(service.ledger()) == (method == "upload.replace")


@pytest.mark.parametrize(("method", "times"), [("doc.get", 6), ("upload.replace", 3)])
def test_signing_again_has_an_end_that_speaks_of_the_clocks(
    service: Service, picture: Path, method: str, times: int
) -> None:
    service.fail("code:134", method, times=99)
    with service.client("oauth") as client, pytest.raises(StaleSignature) as caught:
        call(client, method, picture)
    assert str(caught.value) == (
        f"The service refuses the OAuth timestamp of {method} (code 134), though this machine's clock agrees with the "
        "service's: a later call with the same token was there first. A long upload can be overtaken so by other calls; then "
        "use the service's own signature (auth: signature), or a token for each worker. Else the clock of another program "
        "with this token runs ahead."
    )
    assert service.calls()[method] == times
    assert service.ledger() == []


@pytest.mark.parametrize("method", ["doc.get", "upload.replace"])
def test_a_clock_that_is_off_is_said_with_the_difference_and_not_tried_again(
    service: Service, picture: Path, method: str
) -> None:
    service.set(clock_offset_seconds=3 * 3600)
    with service.client("oauth") as client, pytest.raises(StaleSignature) as caught:
        call(client, method, picture)
    assert str(caught.value) == (
        f"The service refuses the OAuth timestamp of {method} (code 132): this machine's clock is 3 h behind the "
        "service's; set the clock."
    )
    assert service.calls()[method] == 1
    assert service.ledger() == []


def test_twenty_processes_share_one_oauth_token(service: Service, tmp_path: Path) -> None:
    credentials = {"api_key": API_KEY, "api_secret": API_SECRET, **CREDENTIALS["oauth"]}
    command = [sys.executable, "-c", SHARER.replace("{calls}", str(CALLS))]
    with service.client() as client:
        doc_ids = [
            client.upload_file(draw(tmp_path / "old.jpg", f"#{n:06x}"), asynchronous=False).doc_id
            for n in range(PROCESSES)
        ]
    before = len(service.ledger())
    pipe = subprocess.PIPE
    processes = []
    for number, doc_id in enumerate(doc_ids):
        file = draw(tmp_path / f"{number}.jpg", f"#ff00{number:02x}")
        told = json.dumps([service.url, credentials, doc_id, str(file)])
        processes.append(subprocess.Popen([*command, told], stdin=pipe, stdout=pipe, stderr=pipe, text=True))
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")
        assert out.strip()
    assert len(service.ledger()) - before == PROCESSES
    assert service.calls()["doc.get"] >= PROCESSES * CALLS
