"""S3 on loopback: moto, which knows rights, and a server for objects that moto cannot have."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import requests

from scripts.rig import free_port, session_of, wait_for
from tests.loopback import HttpServer, QuietHandler

REGION = "us-east-1"
MIB = 1 << 20


def connection_to(
    url: str, key: str = "somebody", secret: str = "s0mebodys-secret", **extra: Any
) -> str:
    """An Airflow connection to an S3 server, as the environment takes it."""
    # One try each: what cannot be reached here will not be reached later.
    quick = {"retries": {"total_max_attempts": 1}, "connect_timeout": 2}
    extra = {"endpoint_url": url, "region_name": REGION, "config_kwargs": quick, **extra}
    return json.dumps({"conn_type": "aws", "login": key, "password": secret, "extra": extra})


@dataclass(frozen=True)
class User:
    key: str
    secret: str


@dataclass(frozen=True)
class Storage:
    """A moto server with one user who may do anything, and one who may do nothing."""

    url: str
    owner: User
    stranger: User

    def connection(self, user: User | None = None, **other: Any) -> str:
        user = user or self.owner
        return connection_to(self.url, **{"key": user.key, "secret": user.secret, **other})

    def client(self) -> Any:
        return _client(self.url, self.owner)


@dataclass(frozen=True)
class Bucket:
    """A bucket of one test's own."""

    storage: Storage
    name: str

    def put(self, key: str, body: bytes) -> None:
        self.storage.client().put_object(Bucket=self.name, Key=key, Body=body)

    def put_in_parts(self, key: str, *parts: bytes) -> None:
        """Such an object's ETag is no MD5."""
        s3, place = self.storage.client(), {"Bucket": self.name, "Key": key}
        upload = s3.create_multipart_upload(**place)["UploadId"]
        tags = [
            s3.upload_part(**place, UploadId=upload, PartNumber=number, Body=part)["ETag"]
            for number, part in enumerate(parts, 1)
        ]
        numbered = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
        s3.complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": numbered})

    def get(self, key: str) -> bytes:
        return bytes(self.storage.client().get_object(Bucket=self.name, Key=key)["Body"].read())

    def delete(self, key: str) -> None:
        self.storage.client().delete_object(Bucket=self.name, Key=key)

    def stored(self) -> list[str]:
        return [
            found["Key"]
            for found in self.storage.client().list_objects_v2(Bucket=self.name).get("Contents", [])
        ]

    def unfinished(self) -> int:
        """How many uploads in parts were begun and neither completed nor given up."""
        return len(
            self.storage.client().list_multipart_uploads(Bucket=self.name).get("Uploads", [])
        )


@contextmanager
def running_storage(folder: Path, host: str = "127.0.0.1") -> Iterator[Storage]:
    """A moto server in a process of its own that checks signatures and rights."""
    port = free_port()
    url = f"http://{host}:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", host, "-p", str(port)]
    with session_of(command, {}, folder / "moto.log"):
        wait_for("moto", lambda: _answers(url), 30, every=0.1)
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        storage = Storage(url, _make_user(url, "owner", everything), _make_user(url, "stranger"))
        requests.post(f"{url}/moto-api/reset-auth", data="0", timeout=10).raise_for_status()
        yield storage


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/moto-api/", timeout=5).ok
    except requests.ConnectionError:
        return False


def _client(url: str, user: User, service: str = "s3") -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=user.key,
        aws_secret_access_key=user.secret,
    )


def _make_user(url: str, name: str, *may: dict[str, str]) -> User:
    iam = _client(url, User("anybody", "anybody"), "iam")
    iam.create_user(UserName=name)
    if may:
        rights = json.dumps({"Version": "2012-10-17", "Statement": may})
        iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=rights)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return User(made["AccessKeyId"], made["SecretAccessKey"])


@dataclass
class Made:
    """An object that is made while it is read: each MiB says which one it is.

    :param etag: whatever the storage is to claim.
    :param head: first bytes, instead of what is made.
    :ivar served: the bytes that were read of it.
    """

    size: int
    etag: str
    head: bytes = b""
    served: int = field(default=0, init=False)

    def blocks(self, start: int, end: int) -> Iterator[bytes]:
        while start < end:
            number, offset = divmod(start, MIB)
            block = number.to_bytes(8, "big") * (MIB // 8)
            if number == 0:
                block = self.head + block[len(self.head) :]
            block = block[offset : offset + end - start]
            start += len(block)
            self.served += len(block)
            yield block

    def content(self) -> bytes:
        content = b"".join(self.blocks(0, self.size))
        self.served = 0
        return content


class ObjectServer(HttpServer):
    """As much of S3 as reading takes, for objects of any size and with any ETag."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.objects: dict[str, Made] = {}


class _Handler(QuietHandler):
    server: ObjectServer

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        found = self.server.objects.get(self.path.partition("?")[0])
        if found is None:
            self.send_error(404)
            return
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        start, end = (
            (int(asked[1]), min(int(asked[2]) + 1, found.size)) if asked else (0, found.size)
        )
        self.send_response(206 if asked else 200)
        self.send_header("ETag", f'"{found.etag}"')
        self.send_header("Last-Modified", "Sat, 21 Nov 2026 07:28:00 GMT")
        self.send_header("Content-Length", str(end - start))
        self.send_header("Content-Range", f"bytes {start}-{end - 1}/{found.size}")
        self.end_headers()
        if with_body:
            for block in found.blocks(start, end):
                self.wfile.write(block)
