"""PostgreSQL as Debian and Ubuntu install it: its programs, and a database of a test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path


def postgres_programs() -> Path | None:
    """Return the folder of PostgreSQL's server programs, of the newest version that is here."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: path.parts[4])
    in_path = shutil.which("initdb")
    return found[-1].parent if found else (Path(in_path).resolve().parent if in_path else None)


def as_postgres(program: str, *arguments: str) -> list[str]:
    """Return a command of PostgreSQL, which does not run as root."""
    command = [str(Path(postgres_programs() or "") / program), *arguments]
    if os.geteuid():
        return command
    user = ["--reuid=postgres", "--regid=postgres", "--clear-groups"]
    return ["setpriv", *user, *command]


def new_database() -> tempfile.TemporaryDirectory[str]:
    """An empty PostgreSQL database in a folder that its user can enter, as below /tmp/pytest-*."""
    folder = tempfile.TemporaryDirectory(prefix="ipernity-postgres-", ignore_cleanup_errors=True)
    if os.geteuid() == 0:
        shutil.chown(folder.name, "postgres", "postgres")
    options = ["--auth=trust", "--no-sync", "--username=airflow", "--encoding=UTF8"]
    subprocess.run(
        as_postgres("initdb", "-D", folder.name, "--locale=C.UTF-8", *options),
        check=True,
        capture_output=True,
        cwd="/",
    )
    with Path(folder.name, "pg_hba.conf").open("a") as rules:
        rules.write("host all all 198.18.0.0/15 trust\n")
    return folder
