"""OAuth nonces and timestamps that the service refuses, and processes that share a token."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ipernity_provider.api.errors import StaleSignature
from tests.api.test_errors import call
from tests.conftest import API_KEY, API_SECRET, CREDENTIALS, Service, draw

pytestmark = pytest.mark.socket

PROCESSES = 20
CALLS = 8

# Each process of its own account of time: they start together and sign whenever they come to it.
SHARER = """
import json, sys
from pathlib import Path
from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import StaleSignature
url, credentials, doc_id, file = json.loads(sys.argv[1])
with IpernityClient(**credentials, base_url=url, attempts=1) as client:
    sys.stdin.readline()
    for _ in range({calls}):
        client.get_document(doc_id)
    while True:
        try:
            print(client.upload_replace(doc_id, Path(file)).ticket)
            break
        except StaleSignature as error:  # it is known that nothing arrived: nothing repeats calls
            assert error.maybe_accepted
"""


@pytest.mark.parametrize("code", [133, 134])
def test_a_refused_nonce_or_timestamp_is_signed_again(
    service: Service, picture: Path, code: int
) -> None:
    service.fail(f"code:{code}", "doc.get", times=2)
    with service.client("oauth", attempts=1) as client:
        call(client, "doc.get", picture)
    assert service.calls()["doc.get"] == 3


@pytest.mark.parametrize("code", [133, 134])
def test_an_upload_that_is_refused_so_may_have_arrived_and_is_not_sent_again(
    service: Service, picture: Path, code: int
) -> None:
    # A gateway that repeats a call gets 133 for the second one: here the first one was accepted.
    service.set(
        faults=[
            {
                "method": "upload.replace",
                "kind": f"code:{code}",
                "times": 1,
                "after_accepting": True,
            }
        ]
    )
    with (
        service.client("oauth") as client,
        pytest.raises(StaleSignature, match="may have arrived") as caught,
    ):
        call(client, "upload.replace", picture)
    assert caught.value.maybe_accepted
    assert service.calls()["upload.replace"] == 1
    assert len(service.ledger()) == 1


def test_signing_again_has_an_end_that_speaks_of_the_clocks(
    service: Service, picture: Path
) -> None:
    service.fail("code:134", "doc.get", times=99)
    with service.client("oauth") as client, pytest.raises(StaleSignature) as caught:
        call(client, "doc.get", picture)
    assert str(caught.value) == (
        "The service refuses the OAuth timestamp of doc.get (code 134), though this machine's "
        "clock agrees with the service's: a later call with the same token was there first. A long "
        "upload can be overtaken so by other calls; then use the service's own signature (auth: "
        "signature), or a token for each worker. Else the clock of another program with this token "
        "runs ahead."
    )
    assert service.calls()["doc.get"] == 6


@pytest.mark.parametrize("method", ["doc.get", "upload.replace"])
def test_a_clock_that_is_off_is_said_with_the_difference_and_not_tried_again(
    service: Service, picture: Path, method: str
) -> None:
    service.set(clock_offset_seconds=3 * 3600)
    with service.client("oauth") as client, pytest.raises(StaleSignature) as caught:
        call(client, method, picture)
    assert str(caught.value) == (
        f"The service refuses the OAuth timestamp of {method} (code 132): this machine's clock is "
        "3 h behind the service's; set the clock."
        + (" The file may have arrived." if method == "upload.replace" else "")
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
        processes.append(
            subprocess.Popen([*command, told], stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        )
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
