"""Many files from object storage."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.version import Version

from ipernity_provider.bulk.manifest import ManifestLine
from ipernity_provider.hooks.files import as_path
from tests.bulk.rig import Ran, accepted
from tests.conftest import Service, draw
from tests.object_storage import Made, ObjectServer, connection_to


@pytest.mark.skipif(
    Version(version("s3fs")) < Version("2026.9"),
    reason="s3fs 2026.4 forgets credentials when two files are asked for at once",
)
def test_objects_with_wrong_checksums_are_sent_once_and_need_no_volume_for_what_is_there(
    service: Service, object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As with S3's encryption by KMS keys: the ETags look like MD5 checksums and are not."""
    monkeypatch.setenv("AIRFLOW_CONN_MADE", connection_to(object_server.url))
    objects, lines = [], []
    for number in range(3):
        made = Made(200_000, f"{number:032x}", b"\xff\xd8\xff\xe0" + bytes([number]))
        object_server.objects[f"/media/{number}.jpg"] = made
        objects.append(made)
        (doc_id,) = service.add_documents([draw(tmp_path / "old.jpg", f"#00{20 * number:02x}00")])
        lines.append(
            ManifestLine(str(doc_id), f"s3://made@media/{number}.jpg", None, f"line {number}")
        )
    ran = Ran(service, lines, run="1", open_path=as_path)
    assert ran.outcomes == {"replaced": 3}
    assert [made.served for made in objects] == [200_000] * 3  # read once, while they were sent
    service.set(quota_left_bytes=10)
    assert Ran(service, lines, ran.journal, run="1", open_path=as_path).outcomes == {"replaced": 3}
    assert len(accepted(service)) == 3
    assert [made.served for made in objects] == [200_000] * 3
    for row, made in zip(ran.rows, objects, strict=True):
        assert row.md5 == row.md5_after == hashlib.md5(made.content()).hexdigest()
