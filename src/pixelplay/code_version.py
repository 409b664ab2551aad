"""Which version of the code a result was made by: a stage whose code has changed runs again."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from pixelplay.run.fingerprints import fingerprint

# Their values reach a fingerprint as configuration and paths; a change in how they are checked changes no result.
RUN = {f"pixelplay.run.{module}" for module in ("atomic", "files", "fingerprints", "locks")}
NOT_VERSIONED = {"pixelplay.config", "pixelplay.errors", "pixelplay.run.artifacts", "pixelplay.code_version", *RUN}

PACKAGE = Path(__file__).resolve().parent


@cache
def code_version(module: str, follow: bool = True) -> str:
    """Fingerprint of a module of this package and, with `follow`, of all that it imports from it; nothing is run.

    Comments, docstrings and formatting do not count: what is compared is the syntax tree.
    """
    trees: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _module_file(name)
        if name in trees or name in NOT_VERSIONED or path is None:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if follow:
            waiting.extend(_package_imports(tree))
        _drop_docstrings(tree)
        trees[name] = ast.dump(tree)
    return fingerprint(trees)


def _module_file(name: str) -> Path | None:
    """File of a module of this package, by its full name; None for anything else."""
    package, *inner = name.split(".")
    if package != PACKAGE.name:
        return None
    base = PACKAGE.joinpath(*inner)
    return next((path for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()), None)


def _package_imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)  # where it is a module itself
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _drop_docstrings(tree: ast.AST) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
