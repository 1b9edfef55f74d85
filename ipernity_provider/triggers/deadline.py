"""How long a deferred task may wait, and by which of its limits."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

if TYPE_CHECKING:
    from airflow.sdk import Context

Limit = Literal["timeout", "execution_timeout"]

_SPARE_SECONDS = 60.0


@dataclass(frozen=True)
class Deadline:
    """When a deferred task stops waiting; as text, the limit that ends then.

    :param at: unix seconds.
    :param limit: the parameter that sets it.
    :param seconds: that parameter's value.
    """

    at: float
    limit: Limit
    seconds: float

    def __str__(self) -> str:
        return f"the {self.limit} of {self.seconds:g} s"

    @classmethod
    def of(cls, context: Context, timeout: float, execution_timeout: timedelta | None) -> Self:
        """Return the earlier of now + ``timeout`` and the task's start + ``execution_timeout``.

        Airflow itself stops at ``execution_timeout`` only what runs on a worker, and gives a
        resumed task all of it again.
        """
        now = time.time()
        own = cls(now + timeout, "timeout", timeout)
        if execution_timeout is None:
            return own
        # Of the first worker that ran this try; a deferral does not change it.
        started = getattr(context["ti"], "start_date", None)
        seconds = execution_timeout.total_seconds()
        whole = cls(
            (started.timestamp() if started else now) + seconds, "execution_timeout", seconds
        )
        return min(own, whole, key=lambda deadline: deadline.at)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Any, timeout: float) -> Self:
        """Read what :meth:`to_json` made.

        Tasks that an older version deferred stored the time alone, or nothing.

        :raises KeyError, TypeError, ValueError: it is none of these.
        """
        if isinstance(stored, dict):
            if stored["limit"] not in get_args(Limit):
                raise ValueError
            return cls(float(stored["at"]), stored["limit"], float(stored["seconds"]))
        return cls(time.time() if stored is None else float(stored), "timeout", timeout)

    @property
    def for_airflow(self) -> timedelta:
        """The limit for Airflow's own watch over the deferred task.

        It comes a little later: the trigger ends in time by itself and says what was not finished.
        Airflow's limit is for a triggerer that is down.
        """
        return timedelta(seconds=max(0.0, self.at - time.time()) + _SPARE_SECONDS)
