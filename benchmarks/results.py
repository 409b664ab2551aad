"""Timing in repeats, and the tables of RESULTS.md: one section per benchmark, replaced when it is run again."""

import os
import platform
import re
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

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


def record(
    name: str, columns: list[str], rows: list[list[str]], packages: list[str], note: str, command: str | None = None
) -> None:
    """Print a table and put it into RESULTS.md as section `name`; command: if it isn't that of the section's name."""
    table = [columns, ["---"] * len(columns), *rows]
    text = "\n".join(f"| {' | '.join(row)} |" for row in table)
    section = (
        f"## {name}\n\n`{command or f'python -m benchmarks {name}'}`\n\n{text}\n\n{note}\n\n{_machine(packages)}\n"
    )
    print(section)
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
