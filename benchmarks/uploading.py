"""Uploading one large file: speed, CPU and memory of five clients.

They upload over plain HTTP and over TLS on the loopback.

A round runs every client between two runs of ``curl -F``; its ratios are to the mean of those two.
Rounds go forwards and backwards in turn. The tables hold medians of rounds. Sizes, in MiB:
BENCH_SIZES_MIB (256,2048); the rounds of each: BENCH_ROUNDS (5); the size with which memory is
measured once more: BENCH_MEMORY_MIB (2560).
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import ways
from benchmarks.loopback import (
    MIB,
    Calm,
    Certificates,
    Receiving,
    client_env,
    file_of,
    into_the_page_cache,
    receiving,
    setting,
    workplace,
)
from benchmarks.measure import table
from benchmarks.ways import Curl, Run

SIZES = setting("BENCH_SIZES_MIB", "256,2048")
(ROUNDS,) = setting("BENCH_ROUNDS", "5")
(MEMORY_SIZE,) = setting("BENCH_MEMORY_MIB", "2560")

OURS = "this client"
LEAST_SPEED = {"http": 1.2, "https": 0.95}
MOST_CPU = 1.0
MOST_MEMORY = 2.0
COLUMNS = ["upload", "MB/s", "/ curl", "CPU s/GiB", "/ curl", "memory MiB", "receiver busy"]


@dataclass(frozen=True)
class Sample:
    """One run beside its two of curl.

    :param busy: the share of its time that the receiver computed.
    """

    run: Run
    busy: float
    speed_ratio: float = 1.0
    cpu_ratio: float = 1.0


@dataclass(frozen=True)
class Row:
    """Medians of one client's samples."""

    name: str
    mb_per_second: float
    speed_ratio: float
    cpu_per_gib: float
    cpu_ratio: float
    memory: float
    busy: float

    @classmethod
    def of(cls, name: str, mib: int, samples: list[Sample]) -> Row:
        median = statistics.median
        return cls(
            name,
            median(mib * MIB / 1e6 / sample.run.seconds for sample in samples),
            median(sample.speed_ratio for sample in samples),
            median(sample.run.cpu * 1024 / mib for sample in samples),
            median(sample.cpu_ratio for sample in samples),
            median(sample.run.memory for sample in samples),
            median(sample.busy for sample in samples),
        )

    def cells(self) -> list[str]:
        return [
            self.name,
            f"{self.mb_per_second:,.0f}",
            f"{self.speed_ratio:.2f}",
            f"{self.cpu_per_gib:.2f}",
            f"{self.cpu_ratio:.2f}",
            f"{self.memory:.1f}",
            f"{self.busy:.0%}",
        ]


@dataclass(frozen=True)
class Course:
    """One file, one receiver, and the clients that fit into memory."""

    receiver: Receiving
    curl: Curl
    names: list[str]
    small: Path
    file: Path
    env: Mapping[str, str]
    calm: Calm

    def sample(self, rounds: int) -> dict[str, list[Sample]]:
        samples: dict[str, list[Sample]] = {name: [] for name in ["curl -F", *self.names]}
        for number in range(rounds):
            order = self.names if number % 2 == 0 else self.names[::-1]
            for name, sample in self._round(order):
                samples[name].append(sample)
            print(f"  round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        return samples

    def _round(self, order: Iterable[str]) -> Iterator[tuple[str, Sample]]:
        before, busy = self._run("curl -F")
        yield "curl -F", Sample(before, busy)
        for name in order:
            run, busy = self._run(name)
            after, curl_busy = self._run("curl -F")
            seconds, cpu = (before.seconds + after.seconds) / 2, (before.cpu + after.cpu) / 2
            yield name, Sample(run, busy, seconds / run.seconds, run.cpu / cpu)
            yield "curl -F", Sample(after, curl_busy)
            before = after

    def _run(self, name: str) -> tuple[Run, float]:
        into_the_page_cache(self.file)
        self.calm.wait()
        if name == "curl -F":
            run = self.curl.run(self.file)
        else:
            run = ways.run(name, self.receiver.url, self.small, self.file, self.env)
        return run, self.receiver.busy_with(self.file.stat().st_size)


@dataclass(frozen=True)
class Place:
    """What all courses share."""

    folder: Path
    certificates: Certificates
    core: int
    calm: Calm

    @contextmanager
    def course(self, scheme: str, file: Path, names: list[str]) -> Iterator[Course]:
        env = client_env(self.certificates)
        certificates = self.certificates if scheme == "https" else None
        with (
            file_of(self.folder, 0, "small.jpg") as small,
            receiving(certificates, self.core) as receiver,
        ):
            small.write_bytes(bytes(1024))
            yield Course(
                receiver, Curl(receiver.url, small, env), names, small, file, env, self.calm
            )


def main() -> None:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:1])  # clients inherit it; the receiver moves to another one
    print(
        f"Uploading one file on the loopback, {ROUNDS} rounds. Memory is what the client's process"
        " grows by; a receiver busy all the time would be what limits the speed."
    )
    with workplace() as folder:
        place = Place(folder, Certificates.made_in(folder), cores[-1], Calm())
        rows = {(scheme, mib): row for mib in SIZES for scheme, row in _tables(place, mib)}
        largest = _memory_once_more(place)
    print(f"\n{place.calm}\nWhat is asked of this client:")
    for (scheme, mib), row in rows.items():
        _judge_row(scheme, mib, row)
    _judge_memory(rows["https", min(SIZES)].memory, largest)


def _tables(place: Place, mib: int) -> Iterator[tuple[str, Row]]:
    """Print a table for each scheme; ours of its rows is returned."""
    names = list(_fitting(mib))
    with file_of(place.folder, mib) as file:
        for scheme in LEAST_SPEED:
            print(f"{mib} MiB over {scheme} ...", file=sys.stderr, flush=True)
            with place.course(scheme, file, names) as course:
                samples = course.sample(ROUNDS)
            rows = {name: Row.of(name, mib, of_name) for name, of_name in samples.items()}
            print(
                f"\n{mib} MiB over"
                f" {scheme}\n{table(COLUMNS, [row.cells() for row in rows.values()])}",
                flush=True,
            )
            yield scheme, rows[OURS]


def _fitting(mib: int) -> Iterator[str]:
    """The clients for which there is memory, beside the file in the page cache."""
    lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(lines["MemAvailable"].split()[0]) / 1024
    for name in ways.WAYS:
        if name in ways.HOLDING and 3.5 * mib > available:
            print(
                f"{name} is left out at {mib} MiB: it holds the file twice, and {available:.0f} MiB"
                " are free."
            )
        else:
            yield name


def _memory_once_more(place: Place) -> float:
    print(f"{MEMORY_SIZE} MiB over https, memory only ...", file=sys.stderr, flush=True)
    with file_of(place.folder, MEMORY_SIZE) as file, place.course("https", file, [OURS]) as course:
        return ways.run(OURS, course.receiver.url, course.small, file, course.env).memory


def _judge_row(scheme: str, mib: int, row: Row) -> None:
    least = LEAST_SPEED[scheme]
    where = f"{mib} MiB over {scheme}"
    _judge(
        row.speed_ratio >= least,
        f"speed, {where}: {row.speed_ratio:.2f} of curl's, at least {least}",
    )
    _judge(
        row.cpu_ratio <= MOST_CPU,
        f"CPU, {where}: {row.cpu_ratio:.2f} of curl's, at most {MOST_CPU}",
    )
    _judge(
        row.memory < MOST_MEMORY,
        f"memory, {where}: {row.memory:.1f} MiB, less than {MOST_MEMORY:.0f}",
    )


def _judge_memory(smallest: float, largest: float) -> None:
    what = (
        f"memory, {MEMORY_SIZE} MiB over https: {largest:.1f} MiB, less than {MOST_MEMORY:.0f} and"
        f" as at {min(SIZES)} MiB"
    )
    _judge(largest < MOST_MEMORY and abs(largest - smallest) < MOST_MEMORY / 2, what)


def _judge(holds: bool, what: str) -> None:
    print(f"  {'holds ' if holds else 'MISSED'}  {what}")


if __name__ == "__main__":
    main()
