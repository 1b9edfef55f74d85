from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import SourceChanged, SourceUnreadable
from ipernity_provider.api.multipart import BLOCK_BYTES, BodyFailed, MultipartBody
from tests.conftest import BOAT, Service


def body_of(file: Path, **options: Any) -> MultipartBody:
    return MultipartBody(
        {"doc_id": "5412", "lg": "en"},
        file,
        file.stat().st_size,
        options.pop("filename", file.name),
        **options,
    )


def content(body: MultipartBody) -> bytes:
    return b"".join(bytes(block) for block in body)


def test_the_body_is_a_form_of_the_announced_length_and_can_be_sent_again(tmp_path: Path) -> None:
    file = tmp_path / "big.bin"
    file.write_bytes(os.urandom(2 * BLOCK_BYTES + 17))
    body = body_of(file, filename='a "quoted" Bötchen.bin')
    sent = content(body)
    assert len(body) == len(sent)
    assert content(body) == sent
    form = BytesParser().parsebytes(f"Content-Type: {body.content_type}\r\n\r\n".encode() + sent)
    parts: Any = form.get_payload()
    fields = [
        (part.get_param("name", header="content-disposition"), part.get_payload(decode=True))
        for part in parts
    ]
    assert fields == [("doc_id", b"5412"), ("lg", b"en"), ("file", file.read_bytes())]


def test_progress_is_told_after_each_block(tmp_path: Path) -> None:
    file = tmp_path / "big.bin"
    file.write_bytes(bytes(2 * BLOCK_BYTES + 1))
    told: list[tuple[int, int]] = []
    content(body_of(file, progress=lambda sent, size: told.append((sent, size))))
    size = 2 * BLOCK_BYTES + 1
    assert told == [(BLOCK_BYTES, size), (2 * BLOCK_BYTES, size), (size, size)]


@pytest.mark.parametrize(
    "size", [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES]
)
def test_the_last_block_is_held_back_until_all_was_read_and_the_hook_has_returned(
    tmp_path: Path, size: int
) -> None:
    file = tmp_path / "big.bin"
    file.write_bytes(os.urandom(size))
    handed_over = b""
    seen = []

    def hook(md5: str, total: int) -> None:
        seen.append((md5, total, handed_over))

    body = body_of(file, before_last_block=hook)
    for block in body:
        handed_over += bytes(block)
    ((md5, total, before),) = seen
    assert (md5, total) == (hashlib.md5(file.read_bytes()).hexdigest(), size)
    last = min(size, size % BLOCK_BYTES or BLOCK_BYTES)
    assert len(before) == len(body) - last - len(f"\r\n--{body.boundary}--\r\n")


def test_a_hook_that_raises_keeps_the_last_block_and_the_end_back(tmp_path: Path) -> None:
    file = tmp_path / "big.bin"
    file.write_bytes(bytes(BLOCK_BYTES) + b"the end")
    failure = OSError("the journal cannot be written")

    def hook(md5: str, total: int) -> None:
        raise failure

    body = body_of(file, before_last_block=hook)
    handed_over = b""

    def hand_over() -> None:
        nonlocal handed_over
        for block in body:
            handed_over += bytes(block)

    with pytest.raises(BodyFailed):
        hand_over()
    assert body.failure is failure
    assert b"the end" not in handed_over
    assert body.begun
    assert not body.ended


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (b"longer than before", "grown"),
        (b"less", "shrunk"),
        (b"as long!", "changed"),
        (b"", "shrunk"),
    ],
)
def test_a_file_that_changes_is_not_sent_as_the_one_that_was_hashed(
    service: Service, client: IpernityClient, tmp_path: Path, now: bytes, words: str
) -> None:
    class ChangedAfterStat(type(tmp_path)):  # type: ignore[misc]
        def stat(self, **kwargs: Any) -> Any:
            status = super().stat(**kwargs)
            Path(self).write_bytes(now)
            return status

    file = tmp_path / "chart.jpg"
    file.write_bytes(b"original")
    md5 = hashlib.md5(b"original").hexdigest()
    with pytest.raises(SourceChanged, match=words):
        client.upload_replace(BOAT, ChangedAfterStat(file), expected_md5=md5)
    assert service.ledger() == []


def test_a_file_that_cannot_be_opened_is_not_taken_for_a_broken_connection(
    service: Service, client: IpernityClient, tmp_path: Path
) -> None:
    class Vanishing(type(tmp_path)):  # type: ignore[misc]
        def stat(self, **kwargs: Any) -> Any:
            status = super().stat(**kwargs)
            Path(self).unlink()
            return status

    file = tmp_path / "chart.jpg"
    file.write_bytes(b"original")
    with pytest.raises(
        SourceUnreadable, match=r"chart\.jpg could not be read to its end \(FileNotFoundError\)"
    ):
        client.upload_replace(BOAT, Vanishing(file))
    assert service.ledger() == []


UPLOAD_AND_MEASURE = """
import sys
from pathlib import Path
from ipernity_provider.api.client import IpernityClient
from tests.memory import begin_measuring, peak_kib

url, key, secret, token, small, big = sys.argv[1:]
with IpernityClient(key, secret, token=token, base_url=url) as client:
    client.upload_file(Path(small))  # pays for imports, buffers and the connection
    before = begin_measuring()
    client.upload_file(Path(big), before_last_block=lambda md5, size: None)
    print(peak_kib() - before)
"""


def test_an_upload_of_300_mb_raises_peak_memory_by_less_than_16_mib(
    service: Service, tmp_path: Path
) -> None:
    small, big = tmp_path / "small.bin", tmp_path / "big.bin"
    small.write_bytes(b"x")
    with big.open("wb") as stream:
        stream.truncate(300_000_000)
    from tests.conftest import API_KEY, API_SECRET, TOKEN

    command = [
        sys.executable,
        "-c",
        UPLOAD_AND_MEASURE,
        service.url,
        API_KEY,
        API_SECRET,
        TOKEN,
        str(small),
        str(big),
    ]
    grown_kib = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert [accepted["bytes"] for accepted in service.ledger()] == [1, 300_000_000]
    assert grown_kib < 16 * 1024
