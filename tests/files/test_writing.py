"""A file appears whole or not at all; what was there keeps mode, links and place until then."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from upath import UPath

from ipernity_provider.files.errors import NotRegularFile
from ipernity_provider.files.writing import atomic_write, make_folder
from ipernity_provider.hooks.files import as_folder, as_path
from tests.object_storage import MIB, Bucket

# A pipe that is opened in the usual way blocks for ever.
pytestmark = pytest.mark.timeout(60)


class Interrupted(Exception):
    """Comes in the middle of writing."""


def write(target: object, *blocks: bytes, interrupted: bool = False) -> None:
    with atomic_write(target) as stream:
        for block in blocks:
            stream.write(block)
        if interrupted:
            raise Interrupted


def test_a_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "report.csv"
    with atomic_write(target) as stream:
        stream.write(b"half")
        stream.flush()
        assert not target.exists()
    assert target.read_bytes() == b"half"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("before", [None, b"old"])
def test_an_interruption_leaves_what_was_there(tmp_path: Path, before: bytes | None) -> None:
    target = tmp_path / "report.csv"
    if before:
        target.write_bytes(before)
    with pytest.raises(Interrupted):
        write(target, b"new", interrupted=True)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == ([before] if before else [])


def test_a_file_that_is_replaced_keeps_its_mode_and_shows_nothing_meanwhile(tmp_path: Path) -> None:
    target = tmp_path / "report.csv"
    target.write_bytes(b"old")
    target.chmod(0o640)
    with atomic_write(target) as stream:
        stream.write(b"new")
        (part,) = set(tmp_path.iterdir()) - {target}
        assert stat.S_IMODE(part.stat().st_mode) & 0o077 == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert target.read_bytes() == b"new"


def test_a_new_file_has_the_mode_that_the_process_gives(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        write(tmp_path / "report.csv", b"new")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "report.csv").stat().st_mode) == 0o640


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "report.csv").write_bytes(b"old")
    link = tmp_path / "latest.csv"
    link.symlink_to("kept/report.csv")
    write(link, b"new")
    assert link.is_symlink()
    assert (tmp_path / "kept" / "report.csv").read_bytes() == b"new"


def test_a_pipe_is_left_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotRegularFile, match="named pipe"):
        write(tmp_path / "pipe", b"new")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.parametrize("mib", [0, 20], ids=["small", "in_parts"])
def test_an_object_appears_only_when_it_is_complete(bucket: Bucket, mib: int) -> None:
    target = as_path(f"s3://media@{bucket.name}/2026/report.csv")
    blocks = [b"head", *[bytes(MIB)] * mib]
    with pytest.raises(Interrupted):
        write(target, *blocks, interrupted=True)
    assert (bucket.stored(), bucket.unfinished()) == ([], 0)
    write(target, *blocks)
    assert bucket.get("2026/report.csv") == b"".join(blocks)
    with pytest.raises(Interrupted):
        write(target, b"new", interrupted=True)
    assert (bucket.get("2026/report.csv"), bucket.unfinished()) == (b"".join(blocks), 0)


def test_a_folder_is_made_where_the_storage_has_such_a_thing(
    tmp_path: Path, bucket: Bucket
) -> None:
    make_folder(tmp_path / "backups" / "2026")
    make_folder(tmp_path / "backups" / "2026")
    assert (tmp_path / "backups" / "2026").is_dir()
    make_folder(UPath("memory://backups/2026"))
    assert UPath("memory://backups/2026").is_dir()
    make_folder(as_folder("s3://media@no-such-bucket/backups"))
    names = [found["Name"] for found in bucket.storage.client().list_buckets()["Buckets"]]
    assert "no-such-bucket" not in names
