"""Ways to upload a file: seconds, CPU seconds, growth of memory.

Each is measured in a process of its own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import Usage
from benchmarks.receiver import TICKET

Send = Callable[[Path], object]

DOC_ID = "5412"
KEY, SECRET, TOKEN = "key", "secret", "token"
FIELDS = {"api_key": KEY, "auth_token": TOKEN, "doc_id": DOC_ID, "async": "1"}


@dataclass(frozen=True)
class Run:
    """One upload: what it took, and by how many MiB its process grew."""

    seconds: float
    cpu: float
    memory: float


# -- in a process of its own: imports belong to the way --------------------------------------------


def our_client(url: str) -> Send:
    from ipernity_provider.api.client import IpernityClient

    client = IpernityClient(KEY, SECRET, token=TOKEN, base_url=url)
    return lambda file: _require(client.upload_replace(DOC_ID, file).ticket)


def pyipernity(url: str) -> Send:
    from ipernity import IpernityAPI

    api = IpernityAPI(KEY, SECRET, TOKEN, url=f"{url}/api/")
    return lambda file: _require(api.upload.replace(file=str(file), doc_id=DOC_ID)["ticket"])


def requests_files(url: str) -> Send:
    import requests

    session = requests.Session()

    def send(file: Path) -> None:
        with file.open("rb") as stream:
            answer = session.post(
                _address(url), data=FIELDS, files={"file": (file.name, stream)}, timeout=600
            )
        _require(answer.json()["ticket"])

    return send


def toolbelt(url: str) -> Send:
    import requests
    from requests_toolbelt import MultipartEncoder

    session = requests.Session()

    def send(file: Path) -> None:
        with file.open("rb") as stream:
            form = MultipartEncoder(
                {**FIELDS, "file": (file.name, stream, "application/octet-stream")}
            )
            headers = {"Content-Type": form.content_type}
            answer = session.post(_address(url), data=form, headers=headers, timeout=600)
        _require(answer.json()["ticket"])

    return send


WAYS: dict[str, Callable[[str], Send]] = {
    "this client": our_client,
    "PyIpernity": pyipernity,
    "requests files=": requests_files,
    "requests-toolbelt": toolbelt,
}
#: Those that hold the whole file, twice.
HOLDING = frozenset({"PyIpernity", "requests files="})


def _address(url: str) -> str:
    return f"{url}/api/upload.replace/json"


def _require(ticket: Any) -> None:
    if ticket != TICKET:
        raise RuntimeError(f"the upload was not taken: {ticket!r}")


def measure(way: str, url: str, small: Path, file: Path) -> Run:
    """Send the small file, and then the one that counts.

    The small one pays for imports and the first connection.
    """
    send = WAYS[way](url)
    send(small)
    before = Usage.baseline()
    began = time.perf_counter()
    send(file)
    seconds = time.perf_counter() - began
    after = Usage.now()
    return Run(seconds, after.cpu - before.cpu, after.peak - before.resident)


# -- from the benchmark ----------------------------------------------------------------------------


def run(way: str, url: str, small: Path, file: Path, env: Mapping[str, str]) -> Run:
    """Measure a way in a new process."""
    command = [sys.executable, "-m", "benchmarks.ways", way, url, str(small), str(file)]
    done = subprocess.run(command, env=dict(env), stdout=subprocess.PIPE, text=True, check=True)
    return Run(*json.loads(done.stdout.splitlines()[-1]))


# Whatever starts curl bequeaths it its own peak of memory: an interpreter without anything is
# smaller than curl.
_WITH_USAGE = """
import os, sys
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
status, used = os.wait4(pid, 0)[1:]
print("", used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
sys.exit(os.waitstatus_to_exitcode(status))
"""


class Curl:
    """``curl -F``, above what its process takes for a small upload.

    So Python's start does not count here either.
    """

    def __init__(self, url: str, small: Path, env: Mapping[str, str]) -> None:
        if shutil.which("curl") is None:
            sys.exit(
                "curl is not installed. It is what the uploads are compared with: install it and"
                " try again."
            )
        self._url, self._env = url, env
        self._small = Run(0.0, 0.0, 0.0)
        starts = [self.run(small) for _ in range(3)]
        self._small = Run(
            0.0, min(start.cpu for start in starts), max(start.memory for start in starts)
        )

    def run(self, file: Path) -> Run:
        form = [
            word for name, value in FIELDS.items() for word in ("--form-string", f"{name}={value}")
        ]
        command = [
            sys.executable,
            "-I",
            "-S",
            "-c",
            _WITH_USAGE,
            "curl",
            "--silent",
            "--show-error",
            "--fail",
            *form,
        ]
        command += [
            "-F",
            f"file=@{file}",
            "--output",
            "/dev/null",
            "--write-out",
            "%{time_total}",
            _address(self._url),
        ]
        done = subprocess.run(
            command, env=dict(self._env), stdout=subprocess.PIPE, text=True, check=True
        )
        seconds, cpu, memory = map(float, done.stdout.split())
        return Run(seconds, cpu - self._small.cpu, memory - self._small.memory)


if __name__ == "__main__":
    way_, url_, *files = sys.argv[1:]
    measured = measure(way_, url_, *map(Path, files))
    print(json.dumps([measured.seconds, measured.cpu, measured.memory]))
