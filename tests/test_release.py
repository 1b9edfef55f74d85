"""What a release is made of: the wheel, and its text from the changelog."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from scripts.changelog import section
from scripts.rig import EXAMPLES, ROOT

SOURCES = ("ipernity_provider", "dags_examples")
FILES = ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md")


def build(folder: Path, *, changed_at: float, mode: int) -> Path:
    """Build the wheel from a copy of the sources that was checked out at another time."""
    pytest.importorskip("hatchling", reason="hatchling builds the wheel")
    copy = folder / "sources"
    for name in SOURCES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for name in FILES:
        shutil.copy(ROOT / name, copy)
    for path in copy.rglob("*"):
        os.utime(path, (changed_at, changed_at))
        if path.is_file():
            path.chmod(mode)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=copy, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("one"), changed_at=1_700_000_000, mode=0o644)


def test_two_builds_of_the_same_sources_are_one_wheel(wheel: Path, tmp_path: Path) -> None:
    again = build(tmp_path, changed_at=1_800_000_000, mode=0o640)
    assert (
        hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(wheel.read_bytes()).digest()
    )


def test_the_wheel_brings_the_example_dags_and_no_group_of_development(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        names = content.namelist()
        (metadata,) = (name for name in names if name.endswith("/METADATA"))
        text = content.read(metadata).decode()
    for example in EXAMPLES.glob("*.py"):
        assert f"ipernity_provider/example_dags/{example.name}" in names
    extras = {
        line.removeprefix("Provides-Extra: ")
        for line in text.splitlines()
        if line.startswith("Provides-Extra: ")
    }
    assert extras.isdisjoint({"dev", "docs", "bench", "test", "lint", "release"})


def test_the_readme_has_no_link_that_a_package_index_cannot_follow() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    links = [part.partition(")")[0] for part in readme.split("](")[1:]]
    assert links
    assert [link for link in links if not link.startswith("https://")] == []
    assert len(readme.splitlines()) <= 80


CHANGES = """# Changelog

## [Unreleased]

## [0.2.0] - 2026-02-01

### Added

- Two.

## [0.1.0] - 2026-01-31

- One.

[0.1.0]: https://example.org
"""


def test_a_release_is_described_by_its_section_of_the_changelog() -> None:
    assert section(CHANGES, "0.2.0") == "### Added\n\n- Two.\n"
    assert section(CHANGES, "0.1.0") == "- One.\n"


@pytest.mark.parametrize("version", ["0.3.0", "Unreleased", "0.1"])
def test_a_version_without_a_section_is_not_released(version: str) -> None:
    with pytest.raises(LookupError, match="has no section"):
        section(CHANGES, version)
