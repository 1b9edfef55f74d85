"""A service that answers whatever it likes, through a whole replacement with a backup.

No file appears outside of the backup's folder, no error is untyped, no other listener is reached,
and memory is bounded. Longer: ``HOSTILE_REPLACEMENTS=5000 pytest
tests/security/test_hostile_service.py``.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from ipernity_provider.api.errors import IpernityError
from ipernity_provider.replacement.errors import Cancelled
from ipernity_provider.replacement.request import Result
from tests.api.raw_server import http, is_one_line
from tests.api.test_any_answer import SCALARS, answers, mutated, paths_of
from tests.conftest import SECRETS
from tests.memory import begin_measuring, peak_kib
from tests.replacement.support import run
from tests.security.hostile import MEDIA, NEW, ORIGINAL, Canary, HostileService

# In batches: hypothesis remembers all that it has drawn.
EXAMPLES = 150
BATCHES = math.ceil(int(os.environ.get("HOSTILE_REPLACEMENTS", EXAMPLES)) / EXAMPLES)

BACKUP = re.compile(r"5412-[0-9a-f]{32}-\d{8}T\d{6}Z(\.[a-z0-9]{2,4})?")
HOSTS = ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "127.1", "2130706433"]
NAMES = [
    "../dags/evil",
    "/etc/cron.d/evil",
    "..",
    "5412/../../evil",
    "py",
    "py/../../x",
    "jpg",
    "so",
    "\x00",
    "%2e%2e%2f",
]


def urls(port: int) -> st.SearchStrategy[str]:
    """Addresses of the canary, of the metadata of a cloud, and of nothing."""
    canary = st.sampled_from(HOSTS).map(lambda host: f"http://{host}:{port}/5412.jpg")
    written = [
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "http://[::1",
        f"//127.0.0.1:{port}/",
    ]
    mixed = [
        f"http://127.0.0.1:{port}\\@cdn.ipernity.com/",
        f"http://cdn.ipernity.com@127.0.0.1:{port}/",
    ]
    return canary | st.sampled_from([*written, *mixed])


@st.composite
def replies(draw: st.DrawFn, sample: dict[str, Any], port: int) -> bytes:
    """An answer with any bytes, or a good one with a member that names a place."""
    if draw(st.booleans()):
        return draw(answers(sample))
    payload: Any = {**sample, "api": {"status": "ok", "at": "1700000100"}}
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from([path for path in paths_of(payload) if path]))
        payload = mutated(payload, path, draw(urls(port) | st.sampled_from(NAMES) | SCALARS))
    return http(200, json.dumps(payload).encode())


@st.composite
def media(draw: st.DrawFn, service: str, port: int) -> bytes:
    """A file, another one, too much, or the way to another place."""
    place = draw(urls(port) | st.just(f"{service}{MEDIA}"))
    moved = http(
        draw(st.integers(300, 308)), b"", f"Location: {place}".encode("ascii", "replace").decode()
    )
    file = draw(st.sampled_from([ORIGINAL, NEW, b"", ORIGINAL * 100_000]))
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return draw(
        st.sampled_from(
            [
                http(200, file),
                moved,
                b"HTTP/1.1 200 OK\r\n\r\n" + file,
                head + b"5\r\nabcde\r\n",
                head + b"z",
                b"",
            ]
        )
    )


def everything(folder: Path, but: Path) -> dict[Path, tuple[int, int]]:
    found = {path: path.lstat() for path in folder.rglob("*") if but not in (path, *path.parents)}
    return {path: (status.st_ino, status.st_mtime_ns) for path, status in found.items()}


def outcome(call: Callable[[], Result]) -> Result | Exception:
    """Return the result, or the error of this package; any other one is a failure of the test."""
    try:
        return call()
    except (IpernityError, Cancelled) as error:
        return error


@pytest.mark.parametrize("batch", range(BATCHES))
@pytest.mark.timeout(600)
def test_whatever_the_service_answers_it_reaches_nothing_else(
    hostile: HostileService,
    canary: Canary,
    new_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
) -> None:
    monkeypatch.setattr(
        "ipernity_provider.api.transport.time.sleep", lambda _: None
    )  # between signatures
    backups = tmp_path / "backups"
    outcomes: Counter[str] = Counter()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        hostile.content = ORIGINAL
        hostile.answers.clear()
        samples = hostile.samples()
        methods = data.draw(st.lists(st.sampled_from(sorted(samples)), max_size=2, unique=True))
        for method in methods:
            hostile.answers[method] = data.draw(replies(samples[method], canary.port))
        if data.draw(st.booleans()):
            hostile.answers[MEDIA] = data.draw(media(hostile.url, canary.port))
        before = everything(tmp_path, backups)
        with hostile.client(timeout=3.0, upload_timeout=3.0) as client:
            found = outcome(
                lambda: run(
                    client,
                    new_file,
                    backup_to=backups,
                    proof_seconds=0.0,
                    resend_grace=1.0,
                    timeout=2.0,
                    on_new_document=data.draw(st.sampled_from(["fail", "keep"])),
                    proof=data.draw(st.sampled_from(["best", "none"])),
                )
            )
        assert canary.received == []
        assert everything(tmp_path, backups) == before
        for kept in backups.iterdir() if backups.exists() else ():
            assert BACKUP.fullmatch(kept.name), kept
            assert kept.stat().st_size <= 10485760
        said = found.reason if isinstance(found, Result) else str(found)
        assert is_one_line(said)
        assert not any(secret in said for secret in SECRETS)
        outcomes["done" if isinstance(found, Result) else "failed"] += 1
        if isinstance(found, Result) and found.backup:
            outcomes["kept"] += 1
            assert Path(found.backup).parent == backups

    find(st.text(), bool)  # the first time, hypothesis makes its table of characters: 200 MiB
    before = begin_measuring()
    check()
    grown_kib = peak_kib() - before
    assert min(outcomes[name] for name in ("done", "failed", "kept")) > EXAMPLES // 20, outcomes
    assert grown_kib < 200 << 10
