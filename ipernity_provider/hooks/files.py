"""What users write for a file or a folder -> a path that can be opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote

from airflow.sdk import BaseHook, ObjectStoragePath

from ipernity_provider.api.storage import shown
from ipernity_provider.replacement.order import Refused

_LOCAL = frozenset({"", "file", "local"})

#: Which package brings a storage to Airflow, for those that Airflow's own providers bring.
_PACKAGES = {
    **dict.fromkeys(("s3", "s3a", "s3n"), "apache-airflow-providers-amazon[s3fs]"),
    **dict.fromkeys(("gs", "gcs"), "apache-airflow-providers-google"),
    **dict.fromkeys(("abfs", "abfss", "adl"), "apache-airflow-providers-microsoft-azure"),
}


def as_path(file: Any, conn_id: str | None = None) -> Any:
    """A local file as :class:`pathlib.Path`, any other as ``ObjectStoragePath``.

    :param file: a path, a URI (``file://``, ``s3://conn@bucket/key``, ...), or either of the two classes.
    :param conn_id: the connection to its storage, if the URI names none; local files need none.
    :raises Refused: nothing is named, nothing that this installation can open, an unknown connection, or two.
    """
    conn_id = str(conn_id or "").strip() or None
    if isinstance(file, ObjectStoragePath):
        return Path(file.path) if file.protocol in _LOCAL else _with_connection(file, conn_id)
    text = str(file or "").strip()
    if not text:
        raise Refused("No file is named. Nothing was sent.")
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    try:
        if not separator:
            return Path(text).expanduser()
        return _local(rest) if scheme in _LOCAL else _stored(scheme, rest, conn_id)
    except (ValueError, RuntimeError, ImportError) as error:
        raise Refused(
            f"{shown(text)} cannot be opened: {str(error).rstrip('.')}. Nothing was sent."
        ) from error


def as_folder(folder: Any, conn_id: str | None = None) -> Any:
    """The same for a folder; None and empty text mean that there is none.

    :param conn_id: the connection to its storage; one that the URI names comes first.
    """
    if folder is None or not str(folder).strip():
        return None
    named = (
        folder.conn_id
        if isinstance(folder, ObjectStoragePath)
        else _split(str(folder).partition("://")[2])[0]
    )
    return as_path(folder, None if named else conn_id)


def _local(rest: str) -> Path:
    """What follows ``file://``: all of it is the path, but for a host, which can only be this one."""
    host, slash, path = rest.partition("/")
    if host not in {"", "localhost"} or not slash:
        raise ValueError("a local file is named file:///folder/name, without a host")
    return Path(unquote(f"/{path}"))


def _split(rest: str) -> tuple[str | None, str]:
    """``conn@bucket/key`` -> the connection and the rest."""
    place, slash, key = rest.partition("/")
    conn_id, _, bucket = place.rpartition("@")
    return conn_id or None, f"{bucket}{slash}{key}"


def _stored(scheme: str, rest: str, conn_id: str | None) -> ObjectStoragePath:
    named, place = _split(rest)
    address = f"{scheme}://{place}"
    # Other programs take `key:secret@`; here it would be shown as the name of a connection.
    if named and ":" in named:
        raise Refused(
            f"{shown(address)} is named together with credentials: keep them in a connection and name that. "
            "Nothing was sent."
        )
    _require_storage(scheme, address)
    conn_id = _one_of(address, named, conn_id)
    return ObjectStoragePath(address, conn_id=conn_id)


def _with_connection(path: ObjectStoragePath, conn_id: str | None) -> ObjectStoragePath:
    address = f"{path.protocol}://{path.path}"
    _require_storage(path.protocol, address)
    chosen = _one_of(address, path.conn_id, conn_id)
    if chosen == path.conn_id:
        return path
    return ObjectStoragePath(address, conn_id=chosen, **path.storage_options)


def _require_storage(scheme: str, address: str) -> None:
    from airflow.sdk.io import has_fs

    if not has_fs(scheme):
        package = _PACKAGES.get(scheme)
        remedy = (
            f"install {package} where the tasks run"
            if package
            else "no provider that is installed brings one"
        )
        raise Refused(
            f"{shown(address)} cannot be opened: Airflow has no storage for {scheme}://; {remedy}. Nothing was sent."
        )


def _one_of(address: str, named: str | None, conn_id: str | None) -> str | None:
    """The connection to use, which must exist; None where none is named."""
    if named and conn_id:
        raise Refused(
            f"{shown(address)} names the connection {named}, and file_conn_id names {conn_id}: name one of them. "
            "Nothing was sent."
        )
    chosen = named or conn_id
    # Some storages take other credentials, or none, where their connection is unknown.
    if chosen and not _is_known(chosen):
        raise Refused(
            f"{shown(address)} cannot be opened: the connection {chosen!r} is not known. Nothing was sent."
        )
    return chosen


_known: set[str] = set()


def _is_known(conn_id: str) -> bool:
    """Asked once for each connection: a batch can have thousands of files."""
    from airflow.sdk.exceptions import AirflowNotFoundException

    if conn_id not in _known:
        try:
            BaseHook.get_connection(conn_id)
        except AirflowNotFoundException:
            return False
        _known.add(conn_id)
    return True
