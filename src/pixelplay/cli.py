"""What every entry point shares: the command line read by Hydra, checked, and handed to one function.

An error that a user can mend ends a command with its message and status 1, without a traceback.
"""

import errno
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from glob import escape
from pathlib import Path
from typing import Any

from pixelplay.command_line import called, read_arguments, version
from pixelplay.config import Config
from pixelplay.errors import ConfigError, PixelPlayError
from pixelplay.overrides import choices, groups, nearest, read_override
from pixelplay.renamed_keys import renamed
from pixelplay.run.atomic import remove_leftovers
from pixelplay.run.files import RunFiles
from pixelplay.run.locks import lock
from pixelplay.scores.settings import FusionConfig
from pixelplay.settings import CONFIG_DIR, alternatives, validate

HELP = """
usage: {command} [experiment=NAME] [key=value …]     one run
       {command} --multirun key=1,2,3 …              one run per value, each in its own folder
       {command} --cfg job [key=value …]             show the whole configuration, run nothing
       {command} --version

choices (a folder of configs/ each):
{groups}

Any key that `--cfg job` shows can be set: dataset.root=FOLDER, trainer.max_epochs=20, device=cpu, …
Of a key given twice the last value counts. Paths are taken as typed: 'dataset.root=~/my videos (2)'.
"""

ELSEWHERE = "name another folder (paths.outputs=, paths.checkpoints=, paths.submissions=, paths.cache=)"
IN_THE_WAY = f"move away what is in the place of a file or folder of the run, or {ELSEWHERE}"
DISK = f"check the disk, or {ELSEWHERE}"
REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), f"make room, or {ELSEWHERE}"),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), f"allow writing there, or {ELSEWHERE}"),
    **dict.fromkeys((errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY), IN_THE_WAY),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "allow more open files (ulimit -n), or set workers=1"),
    errno.EFBIG: f"allow larger files (ulimit -f), or {ELSEWHERE}, on a disk that holds such files",
    errno.ENAMETOOLONG: "shorten experiment=, run= or the paths",
    errno.ELOOP: f"remove the links that lead in a circle, or {ELSEWHERE}",
    errno.ENOENT: "it was removed meanwhile: put it back if it is part of the data set",
    errno.ENOMEM: "free memory",
}

OPEN = ("fusion.members.", "fusion.external_default.")  # mappings that need not have all the keys that they may have


def load_config(overrides: list[str]) -> Config:
    """Compose and check the configuration as a command with these overrides would; for notebooks and tests."""
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException

    overrides = [read_override(override) for override in overrides]
    try:
        with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
            return _checked(compose("config", overrides=overrides), overrides)
    except HydraException as error:  # explained outside, since that composes the defaults
        raise ConfigError(_explain(error)) from None


def command(main: Callable[[Config], None], steps: tuple[str, ...] = ()) -> None:
    """Run `main` with the configuration that the command line asks for; never returns on an error.

    steps: what `step=` may name.
    """
    _run(main, main, steps)


def stage_command(main: Callable[[Config], None]) -> None:
    """Like `command`, for what writes a run's files: one process at a time, which first tidies up after killed ones."""

    def alone(config: Config) -> None:
        files = RunFiles.of(config)
        with lock(files.outputs / ".lock", f"the run {files.outputs}/"):
            for folder in (files.outputs, files.checkpoints):
                remove_leftovers(folder)
            remove_leftovers(files.submission.parent, f".{escape(files.submission.name)}")
            main(config)

    _run(main, alone)


def _run(main: Callable[[Config], None], work: Callable[[Config], None], steps: tuple[str, ...] = ()) -> None:
    """Run `work`; `main` is what the help is about."""
    import hydra

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    logging.getLogger("faiss.loader").setLevel(logging.WARNING)  # it tells of every processor's build that it lacks
    if {"--help", "-h"} & set(sys.argv[1:]):
        print(_help(main))
        return
    if "--version" in sys.argv[1:]:
        print(version())
        return

    def job(raw: Any) -> None:
        from hydra.core.hydra_config import HydraConfig

        with _explained():
            work(_checked(raw, list(HydraConfig.get().overrides.task), _sweep_name()))

    os.environ["HYDRA_FULL_ERROR"] = "1"  # let exceptions reach us: Hydra would print them and exit
    with _explained():
        sys.argv[1:] = read_arguments(sys.argv[1:], steps)
        hydra.main(version_base="1.3", config_path=str(CONFIG_DIR), config_name="config")(job)()


@contextmanager
def _explained() -> Iterator[None]:
    """Turn the errors that a user can mend into a message and an exit status."""
    from hydra.errors import HydraException

    try:
        yield
    except HydraException as error:
        _fail(_explain(error))
    except PixelPlayError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _fail("interrupted: the same command goes on from here", status=130)
    except OSError as error:
        if error.errno is None:  # not the system's
            raise
        _fail(f"{error}\n{REMEDIES.get(error.errno, DISK)}, and run the same command again")


def _checked(raw: Any, overrides: list[str], run: str | None = None) -> Config:
    from omegaconf import OmegaConf
    from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

    try:
        values = OmegaConf.to_container(raw, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        raise ConfigError(f"{error.full_key}=???: means that no value is given (a file of that name: ./???)") from None
    except OmegaConfBaseException as error:
        raise ConfigError(str(error).replace("\n    object_type=dict", "")) from None
    values.pop("hydra", None)
    if run and values.get("run") is None:
        values["run"] = run
    if values.get("fusion_file") is not None:
        values["fusion"] = _fusion_of_file(values["fusion_file"], overrides)
    config = validate(Config, values)
    _refuse_composed(config, overrides)
    return config


def _refuse_composed(config: Config, overrides: list[str]) -> None:
    """Raise ConfigError for how a detector puts its streams together where a composite does that in its place."""
    for name in config.fusion.composites:
        keys = rf"\+*detectors\.{re.escape(name)}\.scoring\.(quantile|power|spatial_weight|local_weight)="
        unheard = [override for override in overrides if re.match(keys, override)]
        if unheard:
            key = f"fusion.composites.{name}"
            raise ConfigError(
                f"{unheard[0]} would have no effect: {key} makes that stream of the others; change power or weights "
                f"below {key}, or leave it to the detector with '~{key}'"
            )


def _fusion_of_file(name: Any, overrides: list[str]) -> FusionConfig:
    from pixelplay.scores import fusion_file

    unheard = [override for override in overrides if re.match(r"[+~]*fusion[.=@]", override)]
    if unheard:
        raise ConfigError(
            f"{unheard[0]} would have no effect: fusion_file={name} takes the place of all of fusion; change the file, "
            "or leave one of the two out"
        )
    return fusion_file.read(Path(os.path.expanduser(str(name))))


def _sweep_name() -> str | None:
    """In a sweep, the name of this run: its overrides, so that no run overwrites another."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    if HydraConfig.get().mode != RunMode.MULTIRUN:
        return None
    overrides = [o for o in HydraConfig.get().overrides.task if not o.startswith(("experiment=", "dataset.root="))]
    return re.sub(r"[^\w=,.+-]", "_", ",".join(sorted(overrides))).lstrip(".") or None


def _explain(error: Exception) -> str:
    """Hydra's message without what only its developers need, with the names that are allowed where a key is unknown."""
    message = "\n".join(line for line in str(error).splitlines() if "hydra" not in line.lower()).strip()
    absent = re.search(r"Could not load '(\w+)/([^']+)'", message)  # named by a file of configs/
    if absent and absent[1] in groups():
        return f"{absent[1]}={absent[2]}: no such file in configs/; {alternatives(absent[2], choices(absent[1]))}"
    twice = re.search(r"An item is already at '([^']+)'", message)
    if twice:
        return f"+{twice[1]}=…: it has a value already; give it one with ++{twice[1]}=…, and once"
    unknown = re.search(r"Could not (?:override|delete from config\.) '([^']+)'", message)
    return _unknown(unknown[1]) if unknown else message


def _unknown(key: str) -> str:
    """What to tell of a key that is not there: what may be meant, and what is allowed."""
    from hydra import compose, initialize_config_dir
    from omegaconf import DictConfig, OmegaConf

    if new := renamed(key):
        return f"{key}: renamed to {new}"
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        defaults = compose("config")
    for parent, name in _prefixes(key):
        node = OmegaConf.select(defaults, parent) if parent else defaults
        if not isinstance(node, DictConfig):
            return f"{key}: unknown key; {parent} has no keys below it"
        if name not in node:
            names = sorted({str(k) for k in node if k != "hydra"} | set([] if parent else groups()))
            near = None if get_close_matches(name, names, n=1) else nearest(key.rsplit(".", 1)[-1])
            elsewhere = f"did you mean {near!r}? " if near else ""
            adding = f" (to add one: +{key}=…)" if key.startswith(OPEN) else ""
            return f"{key}: unknown key; {elsewhere}{alternatives(name, names)}{adding}"
    return f"{key}: not a key that can be set"


def _prefixes(key: str) -> list[tuple[str, str]]:
    parts = key.split(".")
    return [(".".join(parts[:i]), parts[i]) for i in range(len(parts))]


def _help(main: Callable[[Config], None]) -> str:
    script = sys.modules["__main__"]
    rows = [f"  {group + '=':14}{' | '.join(choices(group))}" for group in groups()]
    command = called() or f"python src/{os.path.basename(sys.argv[0])}"
    return (script.__doc__ or main.__doc__ or "").strip() + "\n" + HELP.format(command=command, groups="\n".join(rows))


def _fail(message: str, status: int = 1) -> None:
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(status)
