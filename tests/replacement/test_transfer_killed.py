"""``kill -9`` at random moments of a transfer; TRANSFER_KILLS says how many."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.replacement.errors import Uncertain
from tests.conftest import Service, draw
from tests.replacement.killed import transfer
from tests.replacement.test_transfer import prepare, require_once

pytestmark = pytest.mark.socket

KILLS = int(os.environ.get("TRANSFER_KILLS", "4"))
#: About how long a transfer takes here, in seconds; a later kill finds a finished one.
SPAN = 0.45


@pytest.mark.parametrize("number", range(KILLS))
def test_a_killed_transfer_leaves_one_new_document_and_repeats_nothing(
    service: Service, client: IpernityClient, tmp_path: Path, number: int
) -> None:
    prepare(service, client)
    chance = random.Random(number)
    file = draw(tmp_path / "new.jpg", f"#{number + 1:06x}")
    command = [sys.executable, "-m", "tests.replacement.killed"]
    with subprocess.Popen(
        [*command, service.url, str(tmp_path), str(file)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0, SPAN))
        process.kill()
    try:
        result = transfer(service.url, tmp_path, file)
    except Uncertain:
        # It died between the upload and its ticket: nothing tells whose the new document is.
        print("uncertain")
        assert len(service.ledger()) == 1
    else:
        require_once(service, client, result)
