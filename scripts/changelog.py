"""Print what the changelog says of a version: the text of its release.

Usage: python3 scripts/changelog.py 0.1.0
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

CHANGELOG = Path(__file__).resolve().parent.parent / "CHANGELOG.md"


def section(changelog: str, version: str) -> str:
    """Return the section of a version, without its heading.

    :raises LookupError: there is none, or it is empty.
    """
    heading = rf"^## \[{re.escape(version)}\].*?\n(.*?)(?=^## \[|^\[[^\]]+\]: |\Z)"
    found = re.search(heading, changelog, re.DOTALL | re.MULTILINE)
    if found is None or not found[1].strip():
        raise LookupError(f'The changelog has no section "## [{version}]" with text in it.')
    return found[1].strip() + "\n"


if __name__ == "__main__":
    print(section(CHANGELOG.read_text(), sys.argv[1]), end="")
