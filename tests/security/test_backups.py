"""A backup lies in the named folder, whatever the service calls the document and its file."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ipernity_provider.api.errors import IpernityError
from ipernity_provider.api.models import Document
from ipernity_provider.files.writing import write_private
from ipernity_provider.hooks.files import as_folder
from ipernity_provider.replacement.backup import back_up
from tests.api.raw_server import http, reply
from tests.conftest import BOAT
from tests.object_storage import Bucket
from tests.replacement.support import run
from tests.security.hostile import MEDIA, ORIGINAL, HostileService

MD5 = hashlib.md5(ORIGINAL).hexdigest()
NAME = re.compile(rf"5412-{MD5}-\d{{8}}T\d{{6}}Z(\.jpg)?")
PATHS = [
    "../dags/evil",
    "/etc/cron.d/evil",
    "5412/../../dags/evil",
    "..",
    "5412\x00",
    "5412\n",
    "%2e%2e%2fevil",
]
ENDINGS = [
    "py",
    "so",
    "../dags/evil.py",
    "/evil",
    "jpg/../evil",
    "jpg\x00py",
    "jpg\n",
    "JPG.py",
    ".",
    "..",
    "\u0458pg",
]


def everything(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.parametrize(
    ("method", "path", "value"),
    [
        *(("doc.get", ("doc", "doc_id"), value) for value in PATHS),
        *(("doc.get", ("doc", "md5"), value) for value in PATHS),
        *(("doc.get", ("doc", "original", "ext"), value) for value in ENDINGS),
        *(("doc.get", ("doc", "original", "filename"), value) for value in PATHS),
        *(("doc.getMedias", ("doc_id",), value) for value in PATHS),
        *(("doc.getMedias", ("original", "ext"), value) for value in ENDINGS),
        *(("doc.getMedias", ("original", "md5"), value) for value in PATHS),
        *(("doc.getMedias", ("original", "label"), value) for value in PATHS),
        *(("doc.getMedias", ("original", "filename"), value) for value in PATHS),
    ],
)
def test_the_service_has_no_say_in_where_a_backup_lies(
    hostile: HostileService,
    new_file: Path,
    tmp_path: Path,
    method: str,
    path: tuple[str, ...],
    value: str,
) -> None:
    (tmp_path / "dags").mkdir()
    before = everything(tmp_path)
    hostile.change(method, *path, to=value)
    folder = tmp_path / "backups" / "2026"
    with hostile.client() as client:
        try:
            assert run(client, new_file, backup_to=folder).backup is not None
        except IpernityError:
            assert "upload.replace" not in hostile.requests or method == "doc.get"
    found = everything(tmp_path)
    kept = [path for path in folder.iterdir() if path.is_file()] if folder.exists() else []
    assert found.keys() - before.keys() <= {folder.parent, folder, *kept}
    assert {path: found[path] for path in before} == before
    for path_kept in kept:
        assert NAME.fullmatch(path_kept.name), path_kept
        assert path_kept.read_bytes() == ORIGINAL


@pytest.mark.parametrize("doc_id", PATHS)
def test_the_name_is_that_of_the_requested_document(
    hostile: HostileService, tmp_path: Path, doc_id: str
) -> None:
    """Also if another name comes back: a mistake elsewhere must not lead out of the folder."""
    document = Document(doc_id, "photo", "", "1234", None, None, None, None, 0, 0, None)
    with hostile.client() as client:
        kept = Path(str(back_up(client, tmp_path / "backups", BOAT, document)))
    assert kept.parent == tmp_path / "backups"
    assert NAME.fullmatch(kept.name)
    assert set(everything(tmp_path)) == {kept.parent, kept}


@pytest.mark.parametrize("ending", ["jpg", "nef", "mp4", "pdf"])
def test_an_ending_of_a_known_kind_of_media_is_kept(
    hostile: HostileService, tmp_path: Path, ending: str
) -> None:
    hostile.change("doc.getMedias", "original", "ext", to=ending.upper())
    with hostile.client() as client:
        document = client.get_document(BOAT)
        assert str(back_up(client, tmp_path, BOAT, document)).endswith(f"Z.{ending}")


def test_a_backup_and_its_new_folders_are_readable_for_their_owner_alone(
    hostile: HostileService, new_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "there").mkdir(mode=0o755)
    mask = os.umask(0)
    try:
        with hostile.client() as client:
            backup = run(client, new_file, backup_to=tmp_path / "there" / "new" / "newer").backup
    finally:
        os.umask(mask)
    kept = Path(str(backup))
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (kept, kept.parent, kept.parent.parent)]
    assert modes == [0o600, 0o700, 0o700]
    assert stat.S_IMODE((tmp_path / "there").stat().st_mode) == 0o755


@pytest.mark.parametrize("when", ["while the folder is made", "while the original is fetched"])
def test_a_link_that_a_neighbour_puts_in_place_of_the_folder_is_not_followed(
    hostile: HostileService, new_file: Path, tmp_path: Path, when: str
) -> None:
    folder, moved, outside = (
        tmp_path / "shared" / "backups",
        tmp_path / "moved",
        tmp_path / "outside",
    )
    folder.parent.mkdir()
    outside.mkdir()

    def swap() -> None:
        folder.rename(moved)
        folder.symlink_to(outside)

    def media() -> Iterator[bytes]:
        yield http(200, ORIGINAL)[:-5]
        swap()
        yield ORIGINAL[-5:]

    if when == "while the original is fetched":
        hostile.answers[MEDIA] = media
    else:
        folder.symlink_to(tmp_path / "not-there-yet")
    with hostile.client() as client:
        run(client, new_file, backup_to=folder)
    assert list(outside.iterdir()) == []
    (kept,) = (moved if moved.exists() else tmp_path / "not-there-yet").iterdir()
    assert kept.read_bytes() == ORIGINAL


def test_a_link_below_the_resolved_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was put there after the links were resolved."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "backups").symlink_to("outside")
    monkeypatch.setattr("ipernity_provider.files.writing.resolve_links", lambda path: path)
    with pytest.raises(NotADirectoryError), write_private(tmp_path / "backups" / "2026"):
        pass
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_link_under_the_name_of_a_backup_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"untouched")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "5412.jpg").symlink_to(tmp_path / "outside")
    with write_private(tmp_path / "kept") as file:
        file.stream.write(ORIGINAL)
        file.name = "5412.jpg"
    assert (tmp_path / "outside").read_bytes() == b"untouched"
    assert [(path.is_symlink(), path.read_bytes()) for path in (tmp_path / "kept").iterdir()] == [
        (False, ORIGINAL)
    ]


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "/x", "a/b", "a\0b"])
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with (
        pytest.raises(ValueError, match="must not lead out"),
        write_private(tmp_path / "kept") as file,
    ):
        file.name = name
    assert list(tmp_path.iterdir()) == [tmp_path / "kept"]
    assert list((tmp_path / "kept").iterdir()) == []


# -- on object storage -----------------------------------------------------------------------------


def without(*names: str) -> Callable[[HostileService], None]:
    def change(hostile: HostileService) -> None:
        samples = hostile.samples()
        for method, payload in (
            ("doc.get", samples["doc.get"]),
            ("doc.getMedias", samples["doc.getMedias"]),
        ):
            for place in (payload, payload.get("doc", {})):
                for name in names:
                    place.pop(name, None)
            hostile.answers[method] = reply(payload)

    return change


def changed(method: str, *path: str, to: Any) -> Callable[[HostileService], None]:
    return lambda hostile: hostile.change(method, *path, to=to)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda hostile: None, rf"5412-{MD5}-\d{{8}}T\d{{6}}Z\.jpg"),
        (without("md5"), r"5412-unknown-\d{8}T\d{6}Z\.jpg"),
        (changed("doc.getMedias", "original", "ext", to="py"), rf"5412-{MD5}-\d{{8}}T\d{{6}}Z"),
        (
            changed("doc.getMedias", "original", "md5", to="0" * 32),
            r"5412-unknown-\d{8}T\d{6}Z\.jpg",
        ),
        (changed("doc.get", "doc", "doc_id", to="../dags/evil"), None),
        (changed("doc.get", "doc", "md5", to="../dags/evil"), None),
        (changed("doc.getMedias", "original", "ext", to="../dags/evil"), None),
        (changed("doc.get", "doc", "md5", to="0" * 32), None),
    ],
    ids=["good", "no_md5", "py", "two_md5", "doc_id", "md5", "ext", "wrong_md5"],
)
def test_an_object_has_a_name_that_the_service_cannot_choose(
    hostile: HostileService,
    new_file: Path,
    bucket: Bucket,
    change: Callable[[HostileService], None],
    name: str | None,
) -> None:
    """Its name is fixed before: its checksum is the one that the bytes were checked against."""
    change(hostile)
    with hostile.client() as client:
        try:
            run(
                client,
                new_file,
                backup_to=as_folder(f"s3://media@{bucket.name}/backups"),
                proof="none",
            )
        except IpernityError:
            assert name is None
    stored = bucket.stored()
    assert len(stored) == (name is not None)
    assert name is None or re.fullmatch(rf"backups/{name}", stored[0])
