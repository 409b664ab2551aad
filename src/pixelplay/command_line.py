"""A command's arguments, checked before Hydra sees them: a mistake is answered with the command that was likely meant.

Flags are those of HELP in `pixelplay.cli`; everything else is read by `pixelplay.overrides`.
"""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

from pixelplay import console
from pixelplay.commands import COMMANDS
from pixelplay.errors import ConfigError
from pixelplay.mining.settings import MINING_STEPS
from pixelplay.overrides import DELETION, OPTION, UNKNOWN, Slip, choices, fields, groups, nearest, read_override
from pixelplay.settings import alternatives, closest, shown

MULTIRUN = ("--multirun", "-m")
FLAGS = ("--help", "--version", "--multirun", "--cfg")
CFG = ("job", "hydra", "all")  # what --cfg shows
DEVICES = ("cpu", "cuda", "mps")
PIPELINE = {"run", *(name for name, command in COMMANDS.items() if command.writes)}  # what run_all.sh runs
STARTED_BY = "PIXELPLAY_COMMAND"  # environment variable: what the user typed to run the whole pipeline
PROPOSED = re.compile(r"\./run_all\.sh|\bpython src/(\w+)\.py")  # commands in messages


def read_arguments(arguments: list[str], command: str) -> list[str]:
    """What Hydra is given for the arguments of a command: flags first, then overrides.

    Raises ConfigError that lists every mistake, and proposes a command where all of them have a likely correction.
    """
    steps = COMMANDS[command].steps
    given, slips, meant = _read(arguments, steps)
    if not slips:
        return given
    if UNKNOWN not in meant:
        _, _, meant = _read(meant, steps)  # a correction may need one itself
    proposal = console.command([f"did you mean: {program(command)}", *map(shlex.quote, dict.fromkeys(meant))])
    raise ConfigError("\n".join([*map(str, slips), *([] if UNKNOWN in meant else [proposal])]))


def take_operand(arguments: list[str], command: str) -> tuple[str, list[str]]:
    """The one word that a command takes beside options, and the other arguments; raises ConfigError without one.

    It is the first that names something on disk, whatever is in that name, else the first that is no option.
    """
    words = [argument for argument in arguments if not argument.startswith("-")]
    there = [word for word in words if os.path.lexists(os.path.expanduser(word))]
    others = [word for word in words if "/" in word.partition("=")[0] or not ("=" in word or DELETION.fullmatch(word))]
    if not (there or others):
        name = COMMANDS[command].operand
        raise ConfigError(f"{command}: {name}? {program(command)} {str(name).upper()} [experiment=NAME] [key=value …]")
    operand = (there or others)[0]
    at = arguments.index(operand)
    return operand, [*arguments[:at], *arguments[at + 1 :]]


def _read(arguments: list[str], steps: tuple[str, ...]) -> tuple[list[str], list[Slip], list[str]]:
    """What Hydra is given, the mistakes, and the arguments that were likely meant."""
    multirun = any(argument in MULTIRUN for argument in arguments)
    flags, overrides, slips, meant = list[str](), list[str](), list[Slip](), list[str]()
    rest = list(arguments)
    while rest:
        is_flag = rest[0].startswith("-")
        try:
            count, given = _flag(rest) if is_flag else _option(rest, multirun, steps)
            (flags if is_flag else overrides).extend(given)
            meant += rest[:count]
        except Slip as slip:
            slips.append(slip)
            count = slip.count
            meant += slip.mended
        del rest[:count]
    return flags + overrides, slips, meant


def program(command: str) -> str:
    """What to type to start a command the way this process was started: by script, `pixelplay` or run_all.sh."""
    pipeline = os.environ.get(STARTED_BY, "")
    if pipeline.endswith(" run"):
        return f"{pipeline.removesuffix('run')}{command}"
    if pipeline and command in PIPELINE:
        return pipeline
    script = Path(sys.argv[0])
    if script.stem == "__main__":
        return f"python -m pixelplay {command}"
    if script.suffix == ".py":
        return shlex.join(["python", str(script.with_name(f"{command}.py"))])
    return shlex.join([script.name if shutil.which(script.name) else str(script), command])


def as_started(text: str) -> str:
    """The text of a message or help, whose commands are those of a checkout, with `program` in their place."""
    return PROPOSED.sub(lambda found: program(found[1] or "run") if (found[1] or "run") in COMMANDS else found[0], text)


def _flag(rest: list[str]) -> tuple[int, list[str]]:
    """How many arguments are the flag and its value, and what Hydra is given for them."""
    name, equals, value = rest[0].partition("=")
    if name in (*MULTIRUN, "--resolve", "--") and not equals:
        return 1, [] if name == "--" else [name]
    count = 1
    if not equals and len(rest) > 1 and not rest[1].startswith("-") and "=" not in rest[1]:
        count, value = 2, rest[1]
    if name in ("--cfg", "-c"):
        if value in CFG:
            return count, ["--cfg", value]
        raise Slip(f"{name} shows {', '.join(CFG)}, not {value or 'nothing'}", "--cfg", "job", count=count)
    if close := closest(name, FLAGS, 0.8):
        raise Slip(f"{rest[0]}: no such flag; did you mean {close}?", close)
    if (device := name.strip("-")) in DEVICES:
        raise Slip(f"{name}: no such flag; choose a device with device={device}", f"device={device}")
    typed, key = shown(" ".join(rest[:count])), nearest(name)
    if key is None:
        flags = f"{', '.join(FLAGS)} job"
        message = f"{typed}: no such flag; flags: {flags}; everything else is written key=value: see --help"
        raise Slip(message, UNKNOWN, count=count)
    mended = f"{key}={value or 'VALUE'}"
    message = f"{typed}: options are written key=value, without dashes: {shown(mended)}"
    raise Slip(message, mended if value else UNKNOWN, count=count)


def _option(rest: list[str], multirun: bool, steps: tuple[str, ...]) -> tuple[int, list[str]]:
    _require_no_spaces(rest)
    found = OPTION.fullmatch(rest[0])
    if found and found[2] == "step":
        _require_step(found[3], steps)
    if found or DELETION.fullmatch(rest[0]):
        return 1, [read_override(rest[0], multirun)]
    raise _word(rest[0], steps)


def _require_no_spaces(rest: list[str]) -> None:
    """Raise Slip for `key =value`, `key= value`, `key = value` and `key value`, as one argument or several."""
    first, second, third = (*rest, "", "")[:3]
    key, value, count = first.rstrip(":="), second, 2
    if inside := re.fullmatch(r"([\w.]+)\s+=\s*(.*)", first, re.DOTALL):
        key, value, count = inside[1], inside[2], 1
    elif second == "=" and len(rest) > 2:
        value, count = third, 3
    elif second.startswith("=") and "=" not in first:
        value = second[1:]
    else:
        plain = len(rest) > 1 and "=" not in second and not second.startswith("-")
        if not plain or first not in (key, f"{key}=", f"{key}:") or key not in (*fields(), *groups()):
            return
    mended = f"{key}={value}"
    raise Slip(f"{shown(' '.join(rest[:count]))}: no spaces around =: {shown(mended)}", mended, count=count)


def _require_step(value: str, steps: tuple[str, ...]) -> None:
    wrong = [step for step in re.findall(r"[^\[\],\s]+", value) if step not in (*steps, "null")]
    if wrong and steps:
        close = closest(wrong[0], steps)
        message = f"step={value}: no such step; {alternatives(wrong[0], [*steps])}"
        raise Slip(message, f"step={close}" if close else UNKNOWN)
    if wrong:
        listed = ", ".join(MINING_STEPS)
        raise Slip(f"step={value}: only `python src/mine.py` has steps ({listed}); remove step=")


def _word(word: str, steps: tuple[str, ...]) -> Slip:
    """The error for a word without =, with the option that it may stand for."""
    options = {device: f"device={device}" for device in DEVICES}
    options |= {name: f"{group}={name}" for group in reversed(groups()) for name in choices(group)}
    options |= {step: f"step={step}" for step in steps}
    options |= {name: f"experiment={name}" for name in choices("experiment")}
    if word in options:
        mended = options[word]
    elif re.fullmatch(r"cuda:\d+", word):
        mended = f"device={word}"
    elif "/" in word or word.startswith(("~", ".")) or Path(word).exists():
        mended = f"{'mine.source' if steps else 'dataset.root'}={word}"
    elif close := closest(word, options, 0.7):
        mended = options[close]
    else:
        example = "options are written key=value, such as experiment=ped2: see --help"
        return Slip(f"{shown(word)}: not an option; {example}", UNKNOWN)
    return Slip(f"{shown(word)}: options are written key=value: {shown(mended)}", mended)
