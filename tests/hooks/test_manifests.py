"""Manifests as users name them: where their files lie, and how their names are spelt."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from ipernity_provider.bulk.manifest import ManifestError
from ipernity_provider.hooks.manifests import read_manifest

NAME = "Fähre Zoë.jpg"


def manifest(folder: Path, file: str) -> Path:
    path = folder / "manifest.csv"
    path.write_text(f"doc_id,file\n5412,{file}\n")
    return path


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
@pytest.mark.parametrize("written", ["NFC", "NFD"])
@pytest.mark.parametrize("folder", ["", "Bücher/"])
def test_an_accent_may_be_a_character_of_its_own(
    tmp_path: Path, on_disk: str, written: str, folder: str
) -> None:
    """As macOS spells names, and as a manifest that was written there or elsewhere does."""
    file = tmp_path / unicodedata.normalize(on_disk, folder + NAME)  # type: ignore[arg-type]
    file.parent.mkdir(exist_ok=True)
    file.touch()
    given = unicodedata.normalize(written, folder + NAME)  # type: ignore[arg-type]
    (line,) = read_manifest(manifest(tmp_path, given))
    assert line.file == str(file)
    (line,) = read_manifest([("5412", tmp_path / given)])
    assert line.file == str(file)


def test_the_spelling_that_is_written_comes_first(tmp_path: Path) -> None:
    spellings = {unicodedata.normalize("NFC", NAME), unicodedata.normalize("NFD", NAME)}
    for spelling in spellings:
        (tmp_path / spelling).touch()
    for spelling in spellings:
        (line,) = read_manifest(manifest(tmp_path, spelling))
        assert Path(line.file).name == spelling


def test_a_file_that_is_not_there_is_named_as_it_was_written(tmp_path: Path) -> None:
    (line,) = read_manifest(manifest(tmp_path, NAME))
    assert line.file == str(tmp_path / NAME)
    (line,) = read_manifest(manifest(tmp_path, f"s3://bucket/{NAME}"))
    assert line.file == f"s3://bucket/{NAME}"


def test_a_folder_is_an_error_however_it_is_spelt(tmp_path: Path) -> None:
    (tmp_path / unicodedata.normalize("NFD", "Bücher")).mkdir()
    for folder in ("Bücher", "Bücher/", "s3://bucket/folder/"):
        with pytest.raises(
            ManifestError, match=r"line 2: .*is a folder; a replacement needs one file"
        ):
            read_manifest(manifest(tmp_path, folder))
