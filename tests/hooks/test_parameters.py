"""What a parameter may be, and the sentence about what it may not be."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ipernity_provider.hooks.parameters import (
    ParameterError,
    check_choice,
    check_flag,
    is_template,
    read_bytes,
    read_flag,
    require_count,
    require_flag,
    require_seconds,
)
from tests.airflow_exceptions import AirflowFailException


@pytest.mark.parametrize(
    ("given", "flag"),
    [
        (True, True), (False, False), (1, True), (0, False),
        *((word, True) for word in ("true", "True", " TRUE\n", "1", "yes", "Yes")),
        *((word, False) for word in ("false", "False", "0", "no", "NO ")),
    ],
)  # fmt: skip
def test_a_rendered_flag_is_a_bool_or_a_word_for_one(given: Any, flag: bool) -> None:
    assert read_flag("dry_run", given) is flag
    check_flag("dry_run", given)


@pytest.mark.parametrize(
    "given", ["", "maybe", "None", None, 2, 1.0, [], ["true"], b"true", "{% if %}"]
)
def test_what_is_no_flag_is_refused_by_name_and_value(given: Any) -> None:
    with pytest.raises(ParameterError) as caught:
        read_flag("dry_run", given)
    assert str(caught.value).startswith(f"dry_run is {given!r}: give True or False")


@pytest.mark.parametrize("given", ["false", "no", 0, 1, None, "{{ params.wait }}"])
def test_a_flag_that_is_not_templated_is_a_bool_and_nothing_else(given: Any) -> None:
    with pytest.raises(ParameterError, match=r"^deferrable is .*: give True or False\.$"):
        require_flag("deferrable", given)
    assert require_flag("deferrable", True)
    assert not require_flag("deferrable", False)


def test_a_template_is_left_alone_until_it_is_rendered() -> None:
    check_flag("dry_run", "{{ params.dry_run }}")
    check_flag("dry_run", "{% if params.x %}true{% endif %}")
    check_choice("proof", "{{ params.proof }}")
    assert not is_template("succeed")


@pytest.mark.parametrize("given", [None, True, 1, ["succeed"]])
def test_a_choice_is_text(given: Any) -> None:
    with pytest.raises(ParameterError, match=r"^if_unchanged is "):
        check_choice("if_unchanged", given)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (30, 30.0),
        (0.5, 0.5),
        ("30", 30.0),
        (" 1.5 ", 1.5),
        (timedelta(minutes=2), 120.0),
        (0, 0.0),
        ("0", 0.0),
        (timedelta(0), 0.0),
    ],
)
def test_a_duration_is_seconds_as_number_or_text_or_a_timedelta(given: Any, seconds: float) -> None:
    assert require_seconds("timeout", given) == seconds


@pytest.mark.parametrize(
    "given",
    [
        True, False, None, -1, "-0.1", timedelta(seconds=-1), "soon", "30s", "", [30], b"30",
        float("nan"), "nan", float("inf"), "-inf", 1e12, 10**400, timedelta.max,
        "{{ params.timeout }}",
    ],
)  # fmt: skip
def test_what_is_no_duration_is_refused_by_name_and_value(given: Any) -> None:
    with pytest.raises(
        ParameterError, match=r"^timeout is .*: give seconds, not below 0, or a timedelta\."
    ) as no:
        require_seconds("timeout", given)
    assert ("Templates are not rendered" in str(no.value)) == is_template(given)


@pytest.mark.parametrize("given", [0, "0", 0.0, timedelta(0)])
def test_an_interval_is_longer_than_nothing(given: Any) -> None:
    with pytest.raises(ParameterError, match=r"^poll_interval is .*: give seconds, above 0, or"):
        require_seconds("poll_interval", given, positive=True)


def test_a_count_is_a_whole_number_within_its_bounds() -> None:
    assert [require_count("uploads", given, 1, 16) for given in (1, 16, "4", " 2 ")] == [
        1,
        16,
        4,
        2,
    ]
    wrong: list[Any] = [0, 17, -1, 2.0, 2.5, "2.0", "two", "²", "", None, True, [2], "9" * 5000]
    for given in wrong:
        with pytest.raises(
            ParameterError, match=r"^uploads is .*: give a whole number from 1 to 16\."
        ):
            require_count("uploads", given, 1, 16)


def test_bytes_are_rounded_up() -> None:
    assert [read_bytes("min_bytes", given) for given in (0, "7", 6.2, "6.2", 2e9)] == [
        0,
        7,
        7,
        7,
        2 * 10**9,
    ]
    wrong: list[Any] = [-1, "-1", "2 GiB", True, None, float("nan"), "inf", [], "²"]
    for given in wrong:
        with pytest.raises(ParameterError, match=r"^min_bytes is .*: give a number of bytes"):
            read_bytes("min_bytes", given)


def test_the_error_breaks_a_dag_file_and_fails_a_mapped_task_without_a_retry() -> None:
    with pytest.raises(ValueError, match=r"^timeout is 'x{76}\.\.\.: give") as caught:
        require_seconds("timeout", "x" * 10_000)
    assert isinstance(caught.value, AirflowFailException)
    assert len(str(caught.value)) < 150
