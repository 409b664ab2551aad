#!/usr/bin/env bash
# Sets up the environment if needed, then checks format, lint, imports and types, and runs every test:
# `bash tests/run.sh [pytest options]`
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../src/environment.sh"
use_environment requirements.txt tests/requirements.txt
cd "$root"
"$python" -m ruff check .
"$python" -m ruff format --check .
PYTHONPATH=src "$python" -c 'import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())'
"$python" -m basedpyright --pythonpath "$(command -v "$python")"
export OMP_NUM_THREADS=1 # two test processes, a core each: more threads would only wait for each other
exec "$python" -m pytest -n 2 --dist worksteal "$@"
