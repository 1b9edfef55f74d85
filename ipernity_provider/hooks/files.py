"""What users write for a file or a folder -> a path that can be opened."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from airflow.sdk import BaseHook, ObjectStoragePath

from ipernity_provider.airflow_compat import conn_id_of
from ipernity_provider.files.paths import is_stored, local_path
from ipernity_provider.replacement.errors import Refused
from ipernity_provider.text import display

_LOCAL = frozenset({"", "file", "local"})

#: Which package brings a storage to Airflow, for those that Airflow's own providers bring.
_PACKAGES = {
    **dict.fromkeys(("s3", "s3a", "s3n"), "apache-airflow-providers-amazon[s3fs]"),
    **dict.fromkeys(("gs", "gcs"), "apache-airflow-providers-google"),
    **dict.fromkeys(("abfs", "abfss", "adl"), "apache-airflow-providers-microsoft-azure"),
}


def as_path(file: Any, conn_id: str | None = None) -> Any:
    """Return a local file as :class:`pathlib.Path`, any other as ``ObjectStoragePath``.

    :param file: a path, a URI (``file://``, ``s3://conn@bucket/key``, ...), or either of the two
        classes.
    :param conn_id: the connection to its storage, where the URI names none; local files need none.
    :raises Refused: nothing is named, nothing that this installation can open, or an unknown
        connection.
    """
    conn_id = str(conn_id or "").strip() or None
    if isinstance(file, ObjectStoragePath):
        return Path(file.path) if file.protocol in _LOCAL else _with_connection(file, conn_id)
    text = "" if file is None else _name_of(file, "The file")
    # Only what a person has written: the name of a file may end with a space.
    text = text.strip() if isinstance(file, str) else text
    if not text:
        raise Refused("No file is named. Nothing was sent.")
    try:
        local = file.expanduser() if isinstance(file, Path) else local_path(text)
        return _stored(text, conn_id) if local is None else local
    except (ValueError, RuntimeError, ImportError) as error:
        raise Refused(
            f"{display(text)} cannot be opened: {str(error).rstrip('.')}. Nothing was sent."
        ) from error


def as_folder(folder: Any, conn_id: str | None = None) -> Any:
    """Return a folder as a path, like :func:`as_path`; the folder may end with a slash.

    None and empty text mean that there is no folder.
    """
    if folder is None or not str(folder).strip():
        return None
    if isinstance(folder, str):
        scheme, separator, rest = folder.strip().partition("://")
        folder = f"{scheme}{separator}{rest.rstrip('/') or '/'}" if separator else folder
    return as_path(folder, conn_id)


def as_filename(filename: Any) -> str | None:
    """Return the name that the service is told; None and blank text mean the file's own.

    :raises Refused: it is neither text nor a whole number, which a template may have made of one.
    """
    return (_name_of(filename, "filename").strip() or None) if filename is not None else None


def _name_of(given: Any, what: str) -> str:
    """Return a given path or name as text.

    A fraction is refused, because ``2024.10`` has become ``2024.1`` before it gets here.
    """
    if isinstance(given, bool) or not (
        isinstance(given, str | int | os.PathLike) or is_stored(given)
    ):
        raise Refused(
            f"{what} is {display(repr(given)[:60])}, which is not a name: give text. In a DAG with "
            "render_template_as_native_obj a template's value may need quotes. Nothing was sent."
        )
    return str(given)


def is_one_of(path: Any, files: Iterable[str]) -> bool:
    """Return whether a path is that of one of these files.

    The path may be spelt in another way, or be a link to one of them.
    """
    if not isinstance(path, Path):
        return str(path) in files
    return any(
        (local := _local(file)) and (local == path or _is_same(path, local)) for file in files
    )


def _local(file: str) -> Path | None:
    try:
        return local_path(file)
    except (ValueError, RuntimeError):  # no name of a file; whoever wants to read it will say so
        return None


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):  # one of them does not exist
        return False


def _stored(text: str, conn_id: str | None) -> ObjectStoragePath:
    scheme, _, rest = text.partition("://")
    scheme = scheme.lower()
    place, slash, key = rest.partition("/")
    named, _, bucket = place.rpartition("@")
    address = f"{scheme}://{bucket}{slash}{key}"
    _require_no_credentials(address, named)
    if address.endswith("/"):
        raise Refused(
            f"{display(address)} ends with a slash, so it is a folder; a replacement needs one"
            " file. Nothing was sent."
        )
    _require_storage(scheme, address)
    return _opened(address, named or conn_id)


def _with_connection(path: ObjectStoragePath, conn_id: str | None) -> ObjectStoragePath:
    address = f"{path.protocol}://{path.path}"
    _require_no_credentials(address, conn_id_of(path))
    _require_storage(path.protocol, address)
    if conn_id and not conn_id_of(path):
        return _opened(address, conn_id, **path.storage_options)
    _require_known(address, conn_id_of(path))
    _require_whole(path, address)
    return path


def _opened(address: str, conn_id: str | None, **storage_options: Any) -> ObjectStoragePath:
    _require_known(address, conn_id)
    path = ObjectStoragePath(address, conn_id=conn_id, **storage_options)
    _require_whole(path, address)
    return path


def _require_whole(path: ObjectStoragePath, address: str) -> None:
    """Raise if the storage would read another file than the given one.

    :raises Refused: not all of the address would reach the storage.
    """
    bucket_alone = "/" not in address.partition("://")[2]
    whole = f"{address}/".endswith(path.path) if bucket_alone else address.endswith(path.path)
    # A version is left out by the libraries themselves, unless they are told that the bucket has
    # versions.
    if not whole or "?versionid=" in address.lower():
        raise Refused(
            f"{display(address)} cannot be opened: not all of its name would reach its storage (a"
            " ?, a # or a tab in it), and another file might be read. Nothing was sent."
        )


def _require_no_credentials(address: str, named: str | None) -> None:
    """Raise if an address contains credentials.

    Other programs accept ``key:secret@``. Here it would appear as the name of a connection or a
    bucket.
    """
    scheme, _, rest = address.partition("://")
    _, colon, port = rest.partition("/")[0].partition(":")
    if colon and (scheme in _PACKAGES or not port.isdecimal()):
        raise Refused(
            f"A file on {scheme}:// is named together with credentials: keep them in a connection"
            " and name that. Nothing was sent."
        )
    if named and ":" in named:
        raise Refused(
            f"{display(address)} is named together with credentials: keep them in a connection and"
            " name that. Nothing was sent."
        )


def _require_storage(scheme: str, address: str) -> None:
    from airflow.sdk.io import has_fs

    if not has_fs(scheme):
        package = _PACKAGES.get(scheme)
        remedy = (
            f"install {package} on this machine"
            if package
            else "no provider that is installed brings one"
        )
        raise Refused(
            f"{display(address)} cannot be opened: Airflow has no storage for {scheme}://;"
            f" {remedy}. Nothing was sent."
        )


def _require_known(address: str, conn_id: str | None) -> None:
    """Raise if the connection is not known.

    With an unknown connection, some storages use other credentials, or none.
    """
    if conn_id and not _is_known(conn_id):
        raise Refused(
            f"{display(address)} cannot be opened: the connection {conn_id!r} is not known. Nothing"
            " was sent."
        )


_known: set[str] = set()


def _is_known(conn_id: str) -> bool:
    """Asked once for each connection: a batch can have thousands of files."""
    from ipernity_provider.airflow_compat import AirflowNotFoundException

    if conn_id not in _known:
        try:
            BaseHook.get_connection(conn_id)
        except AirflowNotFoundException:
            return False
        _known.add(conn_id)
    return True
