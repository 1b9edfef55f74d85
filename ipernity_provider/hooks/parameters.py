"""The parameters of operators, sensors and hook methods, checked by type.

An error names the parameter that is wrong.

Pure functions that load no HTTP library: they run whenever a DAG file is parsed.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from ipernity_provider.airflow_compat import AirflowFailException
from ipernity_provider.api.errors import PermanentError

Seconds = float | int | str | timedelta
"""A duration, as users give it: seconds as a number or as text, or a timedelta."""

_TRUE, _FALSE = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no"})
# A hundred years: beyond, clocks and calendars overflow.
_LONGEST_SECONDS = 100 * 365 * 86400.0
_LONGEST_QUOTE = 80


class ParameterError(PermanentError, AirflowFailException, ValueError):
    """A parameter has a value that cannot be right.

    Raised while a DAG file is parsed, it is a ``ValueError`` like any other. A mapped task is only
    made when it runs, by Airflow and outside of ``execute``: there it fails the task without a
    retry.
    """


def is_template(value: Any) -> bool:
    """Return whether Airflow replaces the value before the task runs.

    Such a value is a Jinja template or an XComArg.
    """
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    return hasattr(value, "iter_references")  # an XComArg, or what a mapped task group passes on


def require_flag(name: str, value: Any) -> bool:
    """Return a flag that is no template field.

    :raises ParameterError: it is not a bool.
    """
    if isinstance(value, bool):
        return value
    raise ParameterError(f"{name} is {_quote(value)}: give True or False.")


def read_flag(name: str, value: Any) -> bool:
    """Return a flag that is a template field, once it is rendered: a bool, or a word for one.

    :raises ParameterError: it is neither true, 1, yes nor false, 0, no, in upper or lower case.
    """
    word = str(value).strip().lower() if isinstance(value, bool | int | str) else ""
    if word not in _TRUE | _FALSE:
        raise ParameterError(
            f"{name} is {_quote(value)}: give True or False, or a template that renders to true or"
            " false."
        )
    return word in _TRUE


def check_flag(name: str, value: Any) -> None:
    """Check a flag that is a template field before it is rendered.

    :raises ParameterError: it is neither a template nor a flag.
    """
    if not is_template(value):
        read_flag(name, value)


def check_choice(name: str, value: Any) -> None:
    """Check that a choice in a template field is text, or will be text.

    Whether the text is a valid choice is checked after it is rendered.

    :raises ParameterError: it is not.
    """
    if not (isinstance(value, str) or is_template(value)):
        raise ParameterError(
            f"{name} is {_quote(value)}: give one of the words it may be, as text."
        )


def require_seconds(name: str, value: Any, *, positive: bool = False) -> float:
    """Return a duration in seconds.

    :param value: seconds as a number or as text (``"30"``), or a timedelta.
    :param positive: zero is refused, too.
    :raises ParameterError: it is not a duration, or below zero.
    """
    try:
        seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    usable = 0 <= seconds <= _LONGEST_SECONDS and not (positive and seconds == 0)
    if (
        not usable
        or not isinstance(value, timedelta | float | int | str)
        or isinstance(value, bool)
    ):
        limit = "above 0" if positive else "not below 0"
        hint = " Templates are not rendered in it." if is_template(value) else ""
        raise ParameterError(
            f"{name} is {_quote(value)}: give seconds, {limit}, or a timedelta.{hint}"
        )
    return seconds


def require_count(name: str, value: Any, least: int, most: int) -> int:
    """Return a whole number, given as such or as text of digits.

    :raises ParameterError: it is not a whole number from ``least`` to ``most``.
    """
    text = (
        str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
    )
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
    if number is None or not least <= number <= most:
        hint = " Templates are not rendered in it." if is_template(value) else ""
        raise ParameterError(
            f"{name} is {_quote(value)}: give a whole number from {least} to {most}.{hint}"
        )
    return number


def read_bytes(name: str, value: Any) -> int:
    """Return a number of bytes, rounded up: the divisions of Jinja give fractions.

    :raises ParameterError: it is not a number, or below zero.
    """
    try:
        # Text of digits is not sent through a float, which would round it.
        number = int(value) if str(value).strip().isdigit() else math.ceil(float(value))
    except (TypeError, ValueError, OverflowError):
        number = -1
    if number < 0 or isinstance(value, bool):
        raise ParameterError(f"{name} is {_quote(value)}: give a number of bytes, e.g. 2147483648.")
    return number


def _quote(value: Any) -> str:
    quoted = repr(value)
    return quoted if len(quoted) <= _LONGEST_QUOTE else f"{quoted[: _LONGEST_QUOTE - 3]}..."
