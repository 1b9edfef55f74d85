"""The base of the upload benchmarks: receiver, certificates, files, a clean environment.

The receiver is a process of its own.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import trustme

from benchmarks.receiver import READY

MIB = 1 << 20
_SPARE_BYTES = 256 * MIB
_BUSY_SHARE = 0.25
_PATIENCE_SECONDS = 5.0


def setting(name: str, default: str) -> list[int]:
    """Whole numbers from the environment, separated by commas."""
    try:
        return [int(number) for number in os.environ.get(name, default).split(",")]
    except ValueError:
        sys.exit(f"{name} is {os.environ[name]!r}: give whole numbers, e.g. {name}={default}.")


@contextmanager
def workplace() -> Iterator[Path]:
    """A folder that is gone at the end, also where the end is Ctrl-C or a SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with TemporaryDirectory(prefix="ipernity-bench-") as folder:
            yield Path(folder)
    except KeyboardInterrupt:
        print("Stopped; temporary files are gone.", file=sys.stderr)
        sys.exit(130)


@contextmanager
def file_of(folder: Path, mib: int, name: str = "photo.jpg") -> Iterator[Path]:
    """Make a file of that size, which is removed at the end.

    It repeats one random block, because nothing here compresses it.
    """
    free = shutil.disk_usage(folder).free
    if free < mib * MIB + _SPARE_BYTES:
        sys.exit(
            f"{folder.parent} has {free // MIB} MiB left, this needs {mib + _SPARE_BYTES // MIB}:"
            " set TMPDIR or smaller sizes."
        )
    file, block = folder / name, secrets.token_bytes(MIB)
    try:
        with file.open("wb", buffering=0) as target:
            for _ in range(mib):
                target.write(block)
        yield file
    finally:
        file.unlink(missing_ok=True)


def into_the_page_cache(file: Path) -> None:
    """Read it once, so that no run pays for the disk."""
    buffer = bytearray(MIB)
    with file.open("rb", buffering=0) as stream:
        while stream.readinto(buffer):
            pass


@dataclass
class Calm:
    """Waits a little for other programs to rest before a run, and counts the disturbed runs."""

    runs: int = 0
    disturbed: int = 0

    def wait(self) -> None:
        end = time.monotonic() + _PATIENCE_SECONDS
        while (busy := _busy_share(0.1) > _BUSY_SHARE) and time.monotonic() < end:
            pass
        self.runs += 1
        self.disturbed += busy

    def __str__(self) -> str:
        return (
            f"{self.disturbed} of {self.runs} runs began while other programs were using the"
            " processors."
        )


def _busy_share(seconds: float) -> float:
    """The share of all processors that was in use meanwhile."""

    def ticks() -> tuple[int, int]:
        fields = [
            int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        ]
        idle, waiting = fields[3:5]
        return idle + waiting, sum(fields)

    idle, total = ticks()
    time.sleep(seconds)
    idle_after, total_after = ticks()
    return 1.0 - (idle_after - idle) / max(1, total_after - total)


@dataclass(frozen=True)
class Certificates:
    """Of an authority made for this run, and of 127.0.0.1 by that authority."""

    authority: Path
    server: Path

    @classmethod
    def made_in(cls, folder: Path) -> Certificates:
        made = cls(folder / "authority.pem", folder / "server.pem")
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(made.authority))
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
            str(made.server)
        )
        return made


def client_env(certificates: Certificates) -> dict[str, str]:
    """Return the environment of the clients: no proxy, and the authority is trusted.

    Its variables have the names that curl and requests read.
    """
    env = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    trusted = str(certificates.authority)
    return env | {
        "NO_PROXY": "*",
        "no_proxy": "*",
        "CURL_CA_BUNDLE": trusted,
        "REQUESTS_CA_BUNDLE": trusted,
    }


class Receiving:
    """The receiver's process, as the benchmark sees it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None  # it is a pipe
        self._said = process.stdout
        line = self._said.readline().strip()
        if not line.startswith(READY):
            sys.exit("The receiver did not start; its own words are above.")
        self.url = line.removeprefix(READY)

    def busy_with(self, size: int) -> float:
        """Return the share of time that the receiver computed in the next upload of this size.

        Smaller uploads are skipped, larger ones are not.
        """
        while line := self._said.readline():
            upload = json.loads(line)
            if upload["bytes"] >= size:
                return float(upload["cpu"] / upload["seconds"])
        sys.exit("The receiver has ended; its own words are above.")


@contextmanager
def receiving(
    certificates: Certificates | None,
    core: int | None = None,
    rate: float = 0.0,
    replies: dict[str, list[Any]] | None = None,
) -> Iterator[Receiving]:
    """Run the receiver, over TLS if there are certificates."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.receiver",
        "--rate",
        str(rate),
        "--replies",
        json.dumps(replies or {}),
    ]
    if certificates:
        command += ["--certificate", str(certificates.server)]
    if core is not None:
        command += ["--core", str(core)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Receiving(process)
        finally:
            process.terminate()
