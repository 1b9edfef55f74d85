"""What storages claim of a file, in each one's own way."""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import Any

import pytest

from ipernity_provider.replacement.checksum import Claim, claim_of

RAW = bytes(range(16))
MD5 = RAW.hex()


class Stored:
    """A path of a storage that says this of it."""

    path = "media/boat.jpg"

    def __init__(self, protocol: str, info: dict[str, Any]) -> None:
        self.protocol = protocol
        self._info = {"size": 4, "type": "file", **info}

    @property
    def fs(self) -> Any:
        return SimpleNamespace(info=lambda _path: self._info, invalidate_cache=lambda _path: None)


@pytest.mark.parametrize(
    ("protocol", "info"),
    [
        ("s3", {"ETag": f'"{MD5}"'}),
        ("s3", {"ETag": MD5.upper()}),
        ("s3a", {"ETag": f'"{MD5}"'}),
        ("gs", {"md5Hash": base64.b64encode(RAW).decode()}),
        ("gcs", {"md5Hash": base64.b64encode(RAW).decode()}),
        ("abfs", {"content_settings": {"content_md5": bytearray(RAW)}}),
        ("abfss", {"content_settings": SimpleNamespace(content_md5=RAW)}),
        ("abfs", {"content_settings": {"content_md5": base64.b64encode(RAW).decode()}}),
    ],
)
def test_an_md5_of_the_whole_file_is_taken(protocol: str, info: dict[str, Any]) -> None:
    assert claim_of(Stored(protocol, info)) == Claim(4, MD5)


@pytest.mark.parametrize(
    ("protocol", "info"),
    [
        ("s3", {"ETag": f'"{MD5}-2"'}),  # stored in parts
        ("s3", {"ETag": ""}),
        ("s3", {"ETag": None}),
        ("s3", {}),
        ("s3", {"ETag": f'"{MD5}"', "size": None}),
        ("gs", {"md5Hash": None}),  # composed of others
        ("gs", {"md5Hash": "no base64"}),
        ("gs", {"md5Hash": base64.b64encode(b"too short").decode()}),
        ("gs", {"etag": MD5}),
        ("abfs", {"content_settings": {"content_md5": None}}),
        ("abfs", {"content_settings": None}),
        ("abfs", {"etag": f'"{MD5}"'}),
        ("hdfs", {"ETag": f'"{MD5}"'}),
    ],
)
def test_anything_else_is_no_claim(protocol: str, info: dict[str, Any]) -> None:
    assert claim_of(Stored(protocol, info)) is None


def test_a_folder_is_no_file() -> None:
    with pytest.raises(IsADirectoryError):
        claim_of(Stored("s3", {"type": "directory"}))
