"""Findings hold nothing but what is known, whatever a service sends."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import wave
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ipernity_provider.api.exchange import Answer
from ipernity_provider.api.models import Token
from ipernity_provider.probe.conclusions import conclude, number_forms
from ipernity_provider.probe.findings import FACTS, MEDIA_FACTS, UNKNOWN, Findings
from ipernity_provider.probe.observations import (
    MediaObservation,
    Observation,
    SeenDocument,
    Sending,
    Wait,
)
from ipernity_provider.probe.samples import MEDIA, make_sample
from ipernity_provider.sandbox.like import settings_like
from ipernity_provider.sandbox.settings import Settings, SettingsError

GOOD = Findings(
    "2026-11-27",
    dict.fromkeys(FACTS, UNKNOWN) | {"without_lg": "http:403"},
    {"photo": dict.fromkeys(MEDIA_FACTS, UNKNOWN) | {"replace": "new_document"}},
    {"photo": {"processing_seconds": 1.5}},
)


def changed(path: str, value: Any) -> Any:
    findings: Any = GOOD.as_json()
    *parents, last = path.split(".")
    holder = findings
    for name in parents:
        holder = holder[name]
    holder[last] = value
    return findings


def test_findings_are_read_as_they_were_written() -> None:
    assert Findings.from_json(json.loads(json.dumps(GOOD.as_json()))) == GOOD
    assert GOOD.makes_new_document == {"photo"}


@pytest.mark.parametrize(
    ("path", "value", "member"),
    [
        ("format", "other", "format"),
        ("version", 2, "version"),
        ("probed_on", "yesterday", "probed_on"),
        ("facts", [], "facts"),
        ("facts.without_lg", "http:403\n", "facts.without_lg"),
        ("facts.without_lg", "code:-1", "facts.without_lg"),
        ("facts.numbers", ["text"], "facts.numbers"),
        ("media", {"pictures": {}}, "media"),
        ("media.photo", 5, "media"),
        ("media.photo.replace", "<script>", "photo.replace"),
        ("measured.photo.processing_seconds", float("nan"), "measured"),
        ("measured.photo.processing_seconds", 10**9, "measured"),
        ("measured.photo.processing_seconds", True, "measured"),
        ("number_members", "at", "number_members"),
        ("number_members", {"tickets.eta": "float"}, "number_members"),
        ("number_members", {"tickets.eta": ["text"]}, "number_members"),
    ],
)
def test_what_is_not_findings_is_refused(path: str, value: Any, member: str) -> None:
    with pytest.raises(ValueError, match=rf"must be findings of .*: {member} is not valid"):
        Findings.from_json(changed(path, value))


@pytest.mark.parametrize("value", [None, "text", 5, [], {}])
def test_anything_else_is_refused_by_both_readers(value: Any) -> None:
    with pytest.raises(ValueError, match="must be findings"):
        Findings.from_json(value)
    with pytest.raises(SettingsError):
        settings_like(value)


def test_a_fact_of_a_later_version_is_left_out() -> None:
    assert Findings.from_json(changed("facts.colour", "blue")) == GOOD


def test_each_answer_has_words_that_fit_a_line() -> None:
    for fact in (*FACTS.values(), *MEDIA_FACTS.values()):
        assert len(fact.label) <= 26
        for value in (*fact.answers, *(f"{kind}:1234" for kind in fact.numbered), UNKNOWN):
            words = fact.words(value)
            assert words
            assert len(words) <= 50
        assert fact.words("something else") is None


def test_settings_of_what_was_not_found_out_are_the_defaults() -> None:
    nothing = Findings("2026-11-27", {}, {"photo": {}}).as_json()
    assert settings_like(nothing) == {}
    assert Settings().changed(settings_like(GOOD.as_json())).replace_mode == "new_document"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["doc", "md5", "original", "thumbs", "thumb", "url", "dates", "at"])
            | st.text(max_size=8),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(
    reply=st.dictionaries(st.sampled_from(["doc", "api", "tickets"]), JSON, max_size=3),
    status=st.integers(0, 10**6),
    kind=st.text(max_size=60),
    body=st.binary(max_size=80),
    level=st.text(max_size=20),
)
def test_whatever_a_service_sends_the_findings_are_valid(
    reply: dict[str, Any], status: int, kind: str, body: bytes, level: str
) -> None:
    seen = Observation("2026-11-27", False, "oauth", Token("1", "x", True, None, {"doc": level}))
    answer = Answer(status, body, {"Content-Type": kind})
    envelope = Answer(status, json.dumps({"api": reply.get("api")}).encode(), {})
    seen.error, seen.without_lg, seen.answers = answer, envelope, [reply]
    document = SeenDocument.of(reply)
    sent = Sending(make_sample("other", "ab", 1), wait=Wait("done", "1", 1.0, -(10**30), True))
    again = Sending(make_sample("other", "ab", 2), wait=Wait("done", "1", 1.0, 10**30, True))
    seen.media = [
        MediaObservation("photo", sent, again, document, document, stored_md5=document.md5)
    ]
    found = conclude(seen)
    assert Findings.from_json(json.loads(json.dumps(found.as_json()))) == found
    assert all("\n" not in words and words.isprintable() for _, _, words in found.rows())
    settings_like(found.as_json())


def test_types_of_numbers_are_told_apart() -> None:
    thumbs = {"thumb": [{"w": 5, "h": "5"}, {"w": "5", "h": "6"}]}
    replies: list[dict[str, Any]] = [
        {"api": {"at": "5", "code": "x"}, "doc": {"doc_id": 7, "title": "7", "thumbs": thumbs}},
        {"tickets": {"eta": 3, "secret": 5, "ticket": [{"id": 9, "done": 1}]}},
    ]
    assert number_forms(replies) == {
        "api.at": "text",
        "doc.thumbs.thumb.h": "text",
        "doc.thumbs.thumb.w": "both",
        "tickets.eta": "number",
        "tickets.ticket.done": "number",
    }


def test_the_findings_of_the_first_edition_are_read() -> None:
    assert Findings.from_json(changed("number_members", ["at", "w"])) == GOOD
    assert Findings.from_json(changed("number_members", {"doc.doc_id": "number"})) == GOOD


def test_a_mixture_of_numbers_is_listed() -> None:
    found = Findings.from_json(
        changed("number_members", {"api.at": "text", "tickets.eta": "number", "doc.safety": "both"})
    )
    rows = dict(row[1:] for row in found.rows())
    assert rows["sent as numbers"] == "tickets.eta, doc.safety"


@pytest.mark.parametrize("media", MEDIA.values())
def test_no_two_files_are_equal(media: str) -> None:
    made = [make_sample(media, mark, version) for mark in ("ab", "cd") for version in (1, 2, 3)]
    assert len({sample.md5 for sample in made}) == len({sample.name for sample in made}) == 6
    assert all(len(sample.data) < 40_000 for sample in made)


def test_the_files_are_what_they_say(tmp_path: Path) -> None:
    with Image.open(io.BytesIO(make_sample("photo", "ab", 1).data)) as picture:
        picture.load()
        assert (picture.format, picture.size) == ("PNG", (480, 320))
    with wave.open(io.BytesIO(make_sample("audio", "ab", 1).data)) as sound:
        assert sound.getnframes() / sound.getframerate() == pytest.approx(1.0, abs=0.01)
    page = make_sample("other", "ab", 1).data
    start = int(page.rpartition(b"startxref\n")[2].split()[0])
    assert page[start:].startswith(b"xref\n0 7\n")
    for number, line in enumerate(page[start:].splitlines()[3:9], 1):
        assert page[int(line[:10]) :].startswith(b"%d 0 obj" % number)
    film = tmp_path / "film.mp4"
    film.write_bytes(make_sample("video", "ab", 1).data)
    if shutil.which("ffprobe"):
        command = ["ffprobe", "-v", "error", "-show_entries", "format=duration", str(film)]
        shown = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "duration=2" in shown.stdout
        assert shown.stderr == ""
