#!/usr/bin/env bash
# Writes requirements.txt and tests/requirements.txt from the .in files beside them: exact versions of every package, also
# of those that others need, with checksums, for every supported Python and platform. Needs uv: `pip install uv`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
lock() {
  uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --quiet \
    --custom-compile-command "bash tests/lock.sh" "$@"
}
lock requirements.in -o requirements.txt
lock tests/requirements.in -c requirements.txt -o tests/requirements.txt
