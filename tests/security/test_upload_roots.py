"""Not a byte from outside the upload roots is read or sent, whatever a neighbour does meanwhile.

Longer: ``LINK_SWAPS=10000 pytest tests/security/test_upload_roots.py``.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from airflow.sdk import ObjectStoragePath

from ipernity_provider.api.client import IpernityClient
from ipernity_provider.api.errors import IpernityError
from ipernity_provider.bulk.manifest import ManifestLine
from ipernity_provider.files.checksums import inspect_file
from ipernity_provider.files.errors import FileError
from ipernity_provider.files.paths import open_below, require_inside
from ipernity_provider.hooks.files import as_path
from ipernity_provider.replacement.errors import Cancelled, Refused
from tests.bulk.rig import Ran
from tests.conftest import BOAT, Service, draw
from tests.object_storage import connection_to
from tests.replacement.support import run

SWAPS = int(os.environ.get("LINK_SWAPS", "300"))

#: Swaps the file and its folder with links to the outside, and says after how many it has been at
#: it long enough.
NEIGHBOUR = """
import os, sys
root, outside, swaps = sys.argv[1:3] + [int(sys.argv[3])]
folder, file = f"{root}/2026", f"{root}/2026/boat.jpg"
done = 0
while True:
    os.symlink(f"{outside}/boat.jpg", f"{root}/link")
    os.link(f"{root}/kept.jpg", f"{root}/again")
    os.replace(f"{root}/link", file)
    os.replace(f"{root}/again", file)
    os.rename(folder, f"{root}/aside")
    os.symlink(outside, folder)
    os.unlink(folder)
    os.rename(f"{root}/aside", folder)
    done += 2
    if done >= swaps:
        print(done, flush=True)
        swaps = float("inf")
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Pictures that may be sent; beside them lies one that may not."""
    (tmp_path / "outside").mkdir()
    draw(tmp_path / "outside" / "boat.jpg", "#ff0000")
    (tmp_path / "pictures" / "2026").mkdir(parents=True)
    draw(tmp_path / "pictures" / "kept.jpg", "#00ff00")
    os.link(tmp_path / "pictures" / "kept.jpg", tmp_path / "pictures" / "2026" / "boat.jpg")
    return tmp_path / "pictures"


@contextmanager
def neighbour(root: Path, swaps: int) -> Iterator[IO[str]]:
    """Swap links in another process; yields what it says once it has swapped that many times."""
    command = [sys.executable, "-c", NEIGHBOUR, str(root), str(root.parent / "outside"), str(swaps)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        os.set_blocking(process.stdout.fileno(), False)
        try:
            yield process.stdout
        finally:
            process.kill()


def test_a_neighbour_who_swaps_links_gets_nothing_read(root: Path) -> None:
    inside = (root / "kept.jpg").read_bytes()
    path, reads, refused = root / "2026" / "boat.jpg", 0, 0
    swapped = ""
    with neighbour(root, SWAPS) as says:
        while not swapped or reads < 50 or refused < 50:
            swapped = swapped or says.readline()
            try:
                file = inspect_file(path, upload_roots=[str(root)])
                assert file.md5 == hashlib.md5(inside).hexdigest()
                with file.source.open() as stream:
                    assert stream.read() == inside
                reads += 1
            except FileError:
                refused += 1
            try:
                with open_below(root, path) as stream:
                    assert stream.read() == inside
            except OSError:
                refused += 1
    assert int(swapped) >= SWAPS
    print(f"{swapped.strip()} swaps, {reads} reads, {refused} refusals")


def test_a_neighbour_who_swaps_links_gets_nothing_sent(
    service: Service, client: IpernityClient, root: Path
) -> None:
    """What counts is what has arrived at the service."""
    inside = hashlib.md5((root / "kept.jpg").read_bytes()).hexdigest()
    swapped, tries = "", 0
    with neighbour(root, SWAPS) as says:
        while not swapped or tries < 20 or len(service.ledger()) < 3:
            swapped = swapped or says.readline()
            tries += 1
            try:
                run(
                    client,
                    root / "2026" / "boat.jpg",
                    upload_roots=[str(root)],
                    if_unchanged="replace",
                    proof_seconds=0.0,
                    timeout=4.0,
                    resend_grace=1.0,
                )
            except (IpernityError, Cancelled):
                continue
    sent = [entry["md5"] for entry in service.ledger()]
    assert set(sent) == {inside}
    assert client.get_document(BOAT).md5 == inside
    print(f"{swapped.strip()} swaps, {tries} tries, {len(sent)} uploads")


OUTSIDE = [
    "{root}/../outside/boat.jpg",
    "{root}/2026/../../outside/boat.jpg",
    "{outside}/boat.jpg",
    "file://{outside}/boat.jpg",
    "file:///{outside}/boat.jpg",
    "file://localhost{root}/%2e%2e/outside/boat.jpg",
    "file:{root}/..%2foutside/boat.jpg",
    "{root}/link.jpg",
    "{root}/folder/boat.jpg",
    "{root}s/boat.jpg",
]


def links(root: Path) -> None:
    (root / "link.jpg").symlink_to(root.parent / "outside" / "boat.jpg")
    (root / "folder").symlink_to("../outside")
    (root.parent / "picturess").symlink_to("outside")


@pytest.mark.parametrize("written", OUTSIDE)
def test_a_row_of_a_manifest_goes_through_the_same_check(
    service: Service, root: Path, written: str
) -> None:
    links(root)
    outside = root.parent / "outside"
    rows = [
        ManifestLine(BOAT, str(root / "2026" / "boat.jpg"), None, "line 2"),
        ManifestLine("5413", written.format(root=root, outside=outside), None, "line 3"),
    ]
    with pytest.raises(Refused, match="lies outside the folders that uploads may come from"):
        Ran(service, rows, upload_roots=[str(root)], open_path=as_path)
    assert service.ledger() == []


def test_rows_are_sent_beside_a_neighbour_who_swaps_links(service: Service, root: Path) -> None:
    inside = hashlib.md5((root / "kept.jpg").read_bytes()).hexdigest()
    rows = [
        ManifestLine(doc_id, str(root / "2026" / "boat.jpg"), None, f"line {number}")
        for number, doc_id in enumerate((BOAT, "5413"), 2)
    ]
    swapped, tries = "", 0
    with neighbour(root, SWAPS) as says:
        while not swapped or tries < 10 or len(service.ledger()) < 3:
            swapped = swapped or says.readline()
            tries += 1
            try:
                Ran(
                    service,
                    rows,
                    upload_roots=[str(root)],
                    if_unchanged="replace",
                    resend_grace=1.0,
                )
            except (IpernityError, Cancelled):
                continue
    assert {entry["md5"] for entry in service.ledger()} == {inside}


@pytest.mark.parametrize(
    "key",
    [
        *("../secret/boat.jpg", "2026/../../secret/boat.jpg", "./boat.jpg", "2026/./boat.jpg"),
        *("/boat.jpg", "2026//boat.jpg", "//secret/boat.jpg"),
        *(
            "%2e%2e/secret/boat.jpg",
            "%2E%2e/boat.jpg",
            "2026%2f..%2f..%2fsecret/boat.jpg",
            "%2fboat.jpg",
        ),
        *(
            "..%2fsecret/boat.jpg",
            "2026/..\\..\\secret/boat.jpg",
            "..%5csecret%5cboat.jpg",
            ".%2e/boat.jpg",
        ),
    ],
)
def test_a_key_that_some_storage_may_read_as_another_folder_is_outside(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ONE", connection_to("http://127.0.0.1:9"))
    path = ObjectStoragePath(f"s3://one@media/pictures/{key}")
    with pytest.raises(FileError, match="lies outside the folders"):
        require_inside(path, ["s3://one@media/pictures", "/data", "s3://one@other"])
