"""The command line: `pixelplay COMMAND`, and the scripts in src/, which name their command.

Hydra reads the configuration, it is checked, and handed to one function. An error that the user can fix ends a command
with its message and status 1, without a traceback.
"""

import errno
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from pixelplay import console, requirements
from pixelplay.command_line import MULTIRUN, STARTED_BY, as_started, program, read_arguments, take_operand
from pixelplay.commands import BEFORE_FUSION, COMMANDS, Command
from pixelplay.composition import composed, resolved
from pixelplay.config import Config
from pixelplay.errors import ConfigError, PixelPlayError
from pixelplay.overrides import choices, groups, nearest, read_override
from pixelplay.recall import kept, with_recalled
from pixelplay.renamed_keys import renamed
from pixelplay.run.atomic import require_writable
from pixelplay.run.files import RunFiles, run_name
from pixelplay.run.locks import exclusive
from pixelplay.settings import CONFIG_DIR, alternatives, closest

if TYPE_CHECKING:  # slow to import
    from omegaconf import DictConfig

HELP = """
usage: {command} [experiment=NAME] [key=value …]     one run
       {command} run=NAME [key=value …]              a run with a folder of its own, and its options, typed once
       {command} --multirun key=1,2,3 …              one run per value, each in its own folder
       {command} --cfg job [key=value …]             print the whole configuration, run nothing
       {command} --version

choices:
{groups}

Any key that `--cfg job` prints can be set: dataset.root=FOLDER, trainer.max_epochs=20, device=cpu, …
If a key is given twice, the last value counts. Paths are taken as typed: 'dataset.root=~/my videos (2)'.
"""
LIST = """usage: {command} [experiment=NAME] [key=value …]
       {command} --help
       {version}

commands:
{commands}
"""

INDENT = " " * 14  # of the second column of lists

ELSEWHERE = "choose another folder (paths.outputs=, paths.checkpoints=, paths.submissions=, paths.cache=)"
IN_THE_WAY = f"move away whatever is in the place of a file or folder of the run, or {ELSEWHERE}"
DISK = f"check the disk, or {ELSEWHERE}"
REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), f"free some space, or {ELSEWHERE}"),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), f"allow writing there, or {ELSEWHERE}"),
    **dict.fromkeys((errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY), IN_THE_WAY),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "allow more open files (ulimit -n), or set workers=1"),
    errno.EFBIG: f"allow larger files (ulimit -f), or {ELSEWHERE}, on a disk that supports such files",
    errno.ENAMETOOLONG: "shorten experiment=, run= or the paths",
    errno.ELOOP: f"remove the circular links, or {ELSEWHERE}",
    errno.ENOENT: "it was removed during the run: put it back if it is part of the data set",
    errno.ENOMEM: "free memory",
}

OPEN = ("fusion.members.", "fusion.external_default.", "sweep.variants.")  # mappings that accept further keys


def load_config(overrides: list[str]) -> Config:
    """Compose and check the configuration as a command with these overrides would; for notebooks and tests."""
    from hydra.errors import HydraException

    try:
        overrides = with_recalled([read_override(override) for override in overrides])
        return resolved(overrides)
    except HydraException as error:
        raise ConfigError(_explain(error)) from None


def main(name: str | None = None) -> None:
    """Run the command `name`, or the one that the first argument names; exits with a status on an error."""
    arguments = sys.argv[1:]
    if name is None:
        name, *arguments = arguments or ["--help"]
        if name in ("--help", "-h", "help"):
            print(_list())
            return
        if name not in COMMANDS and name != "--version":
            _fail(f"{name}: no such command; {alternatives(name, [*COMMANDS])}")
    if "--version" in (name, *arguments):
        print(f"pixelplay {requirements.project()['version']}")
        return
    command = COMMANDS[name]
    with _explained():
        if not command.reads_configuration:
            raise SystemExit(resolve_name(command.target)(arguments))
        if {"--help", "-h"} & set(arguments):
            print(_help(name))
        else:
            _run(name, command, arguments)


def _run(name: str, command: Command, arguments: list[str]) -> None:
    logging.basicConfig(level=logging.INFO, handlers=[console.Console(sys.stdout, as_started)])
    console.RESULTS.setLevel(logging.WARNING if STARTED_BY in os.environ else logging.NOTSET)  # a run ends with them
    if not sys.warnoptions:  # of Python's -W
        warnings.simplefilter("ignore")  # of libraries: ours are logged
    flags = {flag.lstrip("-").replace("-", "_"): True for flag in command.flags if flag in arguments}
    rest, named = [argument for argument in arguments if argument not in command.flags], dict[str, str]()
    if command.operand:
        named[command.operand], rest = take_operand(rest, name)
    if command.chooses and any(argument.startswith("run=") for argument in rest):
        named |= dict(argument.split("=", 1) for argument in rest if argument.startswith(f"{command.chooses}="))
        rest = [argument for argument in rest if not argument.startswith(f"{command.chooses}=")]
    given = read_arguments(rest, name)
    overrides = [argument for argument in given if "=" in argument or argument.startswith("~")]
    others = [argument for argument in given if argument not in overrides]
    is_multirun = not {*MULTIRUN}.isdisjoint(others)
    if command.recalls and not is_multirun:
        overrides = with_recalled(overrides)

    def work(overrides: list[str]) -> None:
        config, typed = resolved(overrides), {"overrides": overrides} if command.takes_overrides else {}
        with _writing(name, config, overrides) if command.writes else nullcontext(config) as config:
            resolve_name(command.target)(config, **flags, **named, **typed)

    if others:  # a sweep, or the configuration is to be shown
        _hand_over([*others, *overrides], work)
    else:  # Hydra's own main would compose the configuration twice
        work(overrides)


def _hand_over(arguments: list[str], work: Callable[[list[str]], None]) -> None:
    """Let Hydra's own main do what its flags say: it calls `work` with the overrides of each run of a sweep."""
    import hydra
    from hydra.core.hydra_config import HydraConfig

    argv = sys.argv

    def job(_: "DictConfig") -> None:
        sys.argv = argv  # as typed, for whatever starts this command again
        with _explained():
            overrides = list(HydraConfig.get().overrides.task)
            work(with_recalled([*overrides, *_run_of_sweep(overrides)]))

    os.environ["HYDRA_FULL_ERROR"] = "1"  # let exceptions reach us: Hydra would print them and exit
    sys.argv = [argv[0], *arguments]
    hydra.main(version_base="1.3", config_path=str(CONFIG_DIR), config_name="config")(job)()


@contextmanager
def _explained() -> Iterator[None]:
    """Turn errors that the user can fix into a message and an exit status."""
    from hydra.errors import HydraException

    try:
        yield
    except HydraException as error:
        _fail(_explain(error))
    except PixelPlayError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _fail("interrupted: the same command resumes from here", status=130)
    except OSError as error:
        if error.errno is None:  # not the system's
            raise
        _fail(f"{error}\n{REMEDIES.get(error.errno, DISK)}, and run the same command again")


def _fail(message: str, status: int = 1) -> None:
    text = console.wrapped(f"error: {as_started(message)}").removeprefix("error:")
    print(console.styled("error:", "error", sys.stderr) + text, file=sys.stderr)
    raise SystemExit(status)


def _run_of_sweep(overrides: list[str]) -> list[str]:
    """The option that names a run of a sweep, unless one does: by its overrides, so that no run overwrites another."""
    if any(override.startswith("run=") for override in overrides):
        return []
    name = run_name(sorted(o for o in overrides if not o.startswith(("experiment=", "dataset.root="))))
    return [read_override(f"run={name}")] if name else []


@contextmanager
def _writing(name: str, config: Config, overrides: list[str]) -> Iterator[Config]:
    """The configuration of the command `name`, which alone writes the run's files, and whose options are kept."""
    is_of_variant = config.name is not None
    if name in BEFORE_FUSION:  # these are the run's, whatever the variant
        config = config.model_copy(update={"name": None})
    with exclusive(config):
        require_writable(RunFiles.of(config).fusion, "paths.outputs")
        with kept(config, overrides, is_of_variant):
            yield config


def _explain(error: Exception) -> str:
    """Hydra's message without its internals, and with the allowed names if a key is unknown."""
    message = "\n".join(line for line in str(error).splitlines() if "hydra" not in line.lower()).strip()
    absent = re.search(r"Could not load '(\w+)/([^']+)'", message)  # named by a file of configs/
    if absent and absent[1] in groups():
        return f"{absent[1]}={absent[2]}: no such file in configs/; {alternatives(absent[2], choices(absent[1]))}"
    if twice := re.search(r"An item is already at '([^']+)'", message):
        return f"+{twice[1]}=…: it already has a value; change it with ++{twice[1]}=…, once"
    unknown = re.search(r"Could not (?:override|delete from config\.) '([^']+)'", message)
    return _unknown(unknown[1]) if unknown else message


def _unknown(key: str) -> str:
    """The message for an unknown key: what may be meant, and what is allowed."""
    if new := renamed(key):
        return f"{key}: renamed to {new}"
    node: Any = composed([])
    *_, last = parts = key.split(".")
    for depth, name in enumerate(parts):
        if not isinstance(node, Mapping):
            return f"{key}: unknown key; {'.'.join(parts[:depth])} has no keys below it"
        if name not in node:
            names = sorted({str(k) for k in node if k != "hydra"} | set([] if depth else groups()))
            near = None if closest(name, names) else nearest(last)
            elsewhere = f"did you mean {near!r}? " if near else ""
            adding = f" (to add one: +{key}=…)" if key.startswith(OPEN) else ""
            return f"{key}: unknown key; {elsewhere}{alternatives(name, names)}{adding}"
        node = node[name]
    return f"{key}: not a key that can be set"


def _list() -> str:
    rows = [f"  {name:14}{as_started(command.help.splitlines()[0])}" for name, command in COMMANDS.items()]
    commands = "\n".join(console.wrapped(row, INDENT) for row in rows)
    return console.wrapped(LIST.format(command=program("COMMAND"), version=program("--version"), commands=commands))


def _help(name: str) -> str:
    rows = [console.wrapped(f"  {group + '=':14}{' | '.join(choices(group))}", INDENT) for group in groups()]
    typed = f"{program(name)} {(COMMANDS[name].operand or '').upper()}".rstrip()
    usage = HELP.format(command=typed, groups="\n".join(rows))
    return console.wrapped(as_started(COMMANDS[name].help) + "\n" + usage)
