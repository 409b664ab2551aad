"""Timing in repeats, and the tables of RESULTS.md: one section per benchmark, replaced when it is run again."""

import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)
RESULTS = Path(__file__).with_name("RESULTS.md")
HEADER = """# Benchmarks

Each table was written by the command above it, on the machine named below it. Times are medians; peers were measured in
the same process, alternating with this project. `python -m benchmarks` writes all tables again.
"""


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def medians(contenders: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median wall time of each contender, seconds; they take turns, so that a slow spell of the machine hits all."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, work in contenders.items():
            times[name].append(seconds(work))
    return {name: statistics.median(values) for name, values in times.items()}


def rates(
    contenders: Mapping[Name, Callable[[], object]], repeats: int, least: float = 0.0
) -> dict[Name, tuple[float, float]]:
    """Median calls a second of CPU time, and of wall time, of each contender; the first turn is not counted.

    least: seconds that a contender is called for in each turn, but once at any rate.
    """
    found: dict[Name, list[tuple[float, float]]] = {name: [] for name in contenders}
    for _ in range(repeats + 1):
        for name, work in contenders.items():
            count, cpu, wall = 0, time.process_time(), time.perf_counter()
            while not count or time.perf_counter() - wall < least:
                work()
                count += 1
            found[name].append((count / (time.process_time() - cpu), count / (time.perf_counter() - wall)))
    return {
        name: (statistics.median(cpu), statistics.median(wall))
        for name, turns in found.items()
        for cpu, wall in [zip(*turns[1:], strict=True)]
    }


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table, whose first row is its head."""
    head, *others = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *others))


def record(
    name: str,
    columns: list[str],
    rows: list[list[str]],
    packages: list[str],
    note: str,
    command: str | None = None,
    kept: bool = True,
) -> None:
    """Print a table and, unless it was only tried out (not `kept`), put it into RESULTS.md as section `name`.

    command: if it isn't that of the section's name.
    """
    command, table = command or f"python -m benchmarks {name}", markdown([columns, *rows])
    section = f"## {name}\n\n`{command}`\n\n{table}\n\n{note}\n\n{_machine(packages)}\n"
    print(section)
    if not kept:
        return
    old = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else HEADER
    sections = re.split(r"(?m)^(?=## )", old)
    kept = [part.rstrip("\n") + "\n" for part in sections if not part.startswith(f"## {name}\n")]
    head, others = kept[0], sorted([*kept[1:], section])
    RESULTS.write_text("\n".join([head, *others]), encoding="utf-8")


def _machine(packages: list[str]) -> str:
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = re.findall(r"(?m)^model name\s*:\s*(.+)$", info.read_text())
        cpu = names[0] if names else cpu
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    return (
        f"{time.strftime('%Y-%m-%d')}, {cpu}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}."
    )
