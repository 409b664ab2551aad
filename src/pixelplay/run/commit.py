"""The version of the project that made something: its commit."""

import subprocess
from pathlib import Path


def git_commit(folder: Path) -> str | None:
    """Commit of the repository around `folder`, with `(changed)` if files differ from it; None without one."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()

    try:
        commit = git("rev-parse", "--short=12", "HEAD")
        return f"{commit} (changed)" if git("status", "--porcelain", "--untracked-files=no") else commit
    except (OSError, subprocess.SubprocessError):  # no git, no repository, or another user's
        return None
