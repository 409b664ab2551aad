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
from glob import escape
from pathlib import Path
from typing import Any

from pixelplay.config import CONFIG_DIR, Config, FusionConfig, alternatives, validate
from pixelplay.errors import ConfigError, PixelPlayError
from pixelplay.run.atomic import remove_leftovers
from pixelplay.run.files import RunFiles
from pixelplay.run.locks import lock

HELP = """
usage: python src/{name}.py [experiment=NAME] [key=value …]     one run
       python src/{name}.py --multirun key=1,2,3 …              one run per value, each in its own folder
       python src/{name}.py --cfg job [key=value …]             show the whole configuration, run nothing

choices (a folder of configs/ each):
{groups}

Any key that `--cfg job` shows can be set: dataset.root=FOLDER, trainer.max_epochs=20, device=cpu, …
A value with = or ? in it is quoted twice: 'dataset.root="a=b"'.
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

    _require_readable(overrides)
    try:
        with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
            return _checked(compose("config", overrides=overrides), overrides)
    except HydraException as error:  # explained outside, since that composes the defaults
        raise ConfigError(_explain(error)) from None


def command(main: Callable[[Config], None]) -> None:
    """Run `main` with the configuration that the command line asks for; never returns on an error."""
    _run(main, main)


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


def _run(main: Callable[[Config], None], work: Callable[[Config], None]) -> None:
    """Run `work`; `main` is what the help is about."""
    import hydra

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    logging.getLogger("faiss.loader").setLevel(logging.WARNING)  # it tells of every processor's build that it lacks
    if {"--help", "-h"} & set(sys.argv[1:]):
        print(_help(main))
        return

    def job(raw: Any) -> None:
        from hydra.core.hydra_config import HydraConfig

        with _explained():
            work(_checked(raw, list(HydraConfig.get().overrides.task), _sweep_name()))

    os.environ["HYDRA_FULL_ERROR"] = "1"  # let exceptions reach us: Hydra would print them and exit
    with _explained():
        _require_readable([argument for argument in sys.argv[1:] if "=" in argument])
        hydra.main(version_base="1.3", config_path=str(CONFIG_DIR), config_name="config")(job)()


def _require_readable(overrides: list[str]) -> None:
    """Raise ConfigError for an override on which Hydra's parser breaks off; what it refuses itself it tells itself."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    for override in overrides:
        try:
            OverridesParser.create().parse_override(override)
        except HydraException:
            continue
        except (ValueError, RecursionError):
            raise ConfigError(f"{override[:60]}…: a number too long or brackets too deep to be read") from None


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
    from omegaconf.errors import OmegaConfBaseException

    try:
        values = OmegaConf.to_container(raw, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ConfigError(str(error)) from None
    values.pop("hydra", None)
    if run and values.get("run") is None:
        values["run"] = run
    if values.get("fusion_file") is not None:
        values["fusion"] = _fusion_of_file(values["fusion_file"], overrides)
    return validate(Config, values)


def _fusion_of_file(name: Any, overrides: list[str]) -> FusionConfig:
    from pixelplay.scores import fusion_file

    unheard = [override for override in overrides if re.match(r"[+~]*fusion[.=@]", override)]
    if unheard:
        raise ConfigError(
            f"{unheard[0]} would have no effect: fusion_file={name} takes the place of all of fusion; change the file, "
            "or leave one of the two out"
        )
    return fusion_file.read(Path(str(name)).expanduser())


def _sweep_name() -> str | None:
    """In a sweep, the name of this run: its overrides, so that no run overwrites another."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    if HydraConfig.get().mode != RunMode.MULTIRUN:
        return None
    overrides = [o for o in HydraConfig.get().overrides.task if not o.startswith(("experiment=", "dataset.root="))]
    return re.sub(r"[^\w=,.+-]", "_", ",".join(sorted(overrides))).lstrip(".") or None


def _explain(error: Exception) -> str:
    """Hydra's message, with the names that are allowed where a key is unknown."""
    from hydra import compose, initialize_config_dir
    from omegaconf import DictConfig, OmegaConf

    message = str(error).replace("\nSet the environment variable HYDRA_FULL_ERROR=1 for a complete stack trace.", "")
    absent = re.search(r"Could not load '(\w+)/([^']+)'", message)  # of a list, such as detector=[…]
    if absent and absent[1] in _group_names():
        return f"{absent[1]}={absent[2]}: no such file in configs/; {alternatives(absent[2], _choices(absent[1]))}"
    unknown = re.search(r"Could not override '([^']+)'", message)
    if not unknown:
        return message
    key = unknown[1]
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        defaults = compose("config")
    for parent, name in _prefixes(key):
        node = OmegaConf.select(defaults, parent) if parent else defaults
        if isinstance(node, DictConfig) and name not in node:
            names = [str(k) for k in node if k != "hydra"] + ([] if parent else _group_names())
            adding = f" (to add one: +{key}=…)" if key.startswith(OPEN) else ""
            return f"{key}: unknown key; {alternatives(name, sorted(set(names)))}{adding}"
    return message


def _prefixes(key: str) -> list[tuple[str, str]]:
    parts = key.split(".")
    return [(".".join(parts[:i]), parts[i]) for i in range(len(parts))]


def _group_names() -> list[str]:
    return sorted(folder.name for folder in CONFIG_DIR.iterdir() if folder.is_dir())


def _choices(group: str) -> list[str]:
    return sorted(file.stem for file in (CONFIG_DIR / group).glob("*.yaml"))


def _help(main: Callable[[Config], None]) -> str:
    script = sys.modules["__main__"]
    groups = [f"  {group + '=':14}{' | '.join(_choices(group))}" for group in _group_names()]
    name = os.path.basename(sys.argv[0]).removesuffix(".py")
    return (script.__doc__ or main.__doc__ or "").strip() + "\n" + HELP.format(name=name, groups="\n".join(groups))


def _fail(message: str, status: int = 1) -> None:
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(status)
