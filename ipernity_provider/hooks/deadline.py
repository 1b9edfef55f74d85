"""Results that come in time, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import TypeVar

T = TypeVar("T")


def in_time(seconds: float, results: Iterator[T]) -> Iterator[T]:
    """Yield the results as they come, within a limit of seconds in all.

    A name server or a slow answer can make a call take longer than its own timeout.

    :raises TimeoutError: no further one, and no end, came within so many seconds in all; what still
        runs is left alone.
    """
    arrived: SimpleQueue[T | _Ended] = SimpleQueue()

    def work() -> None:
        try:
            for result in results:
                arrived.put(result)
            arrived.put(_Ended(None))
        except Exception as error:  # noqa: BLE001 - it is raised again where somebody listens
            arrived.put(_Ended(error))

    Thread(target=work, daemon=True).start()
    end = monotonic() + seconds
    while True:
        try:
            result = arrived.get(timeout=max(0.0, end - monotonic()))
        except Empty:
            raise TimeoutError(f"There was no answer within {seconds:g} s in all.") from None
        if isinstance(result, _Ended):
            if result.error:
                raise result.error
            return
        yield result


class _Ended:
    def __init__(self, error: Exception | None) -> None:
        self.error = error
