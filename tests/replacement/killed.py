"""A transfer in a process of its own, to be killed: ``python -m tests.replacement.killed ...``."""

from __future__ import annotations

import sys
from pathlib import Path

from ipernity_provider.cli.journal import FileJournal
from ipernity_provider.replacement.memory import FileMemory
from ipernity_provider.replacement.request import Result
from tests.conftest import Service
from tests.replacement.support import replacement


def transfer(url: str, folder: Path, file: Path) -> Result:
    with Service(url).client() as client:
        journal = FileJournal(folder / "journal.json")
        made = replacement(client, file, journal, on_new_document="transfer", resend_grace=10.0)
        made.memory = FileMemory(folder / "memory")
        return made.run()


if __name__ == "__main__":
    url, folder, file = sys.argv[1:]
    print("ready", flush=True)
    transfer(url, Path(folder), Path(file))
