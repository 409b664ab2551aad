# Sourced by run_all.sh and tests/run.sh. Sets $python to a Python with the packages that the project needs.
#
# An active environment (virtual environment, conda, Kaggle) is used as it is: what it lacks is named, and nothing is
# installed into it. Without one, a .venv beside this folder is made once and kept.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

find_python() { # the first Python 3.11-3.13 that runs
  local candidate
  for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 python; do
    if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "error: no Python 3.11, 3.12 or 3.13 found; install one, or name it: PYTHON=/path/to/python $0" >&2
  return 1
}

# use_environment FILE...: $python, with the pinned packages of these requirement files (below $root) when it is a .venv.
use_environment() {
  if [ -n "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}${KAGGLE_KERNEL_RUN_TYPE:-}" ]; then
    python="$(find_python)"
    "$python" "$root/src/environment.py" "$@" || exit 1
    return
  fi
  local venv="$root/.venv" installed="$root/.venv/installed" wanted
  wanted="$(cd "$root" && cat "$@" pyproject.toml | cksum)"
  python="$venv/bin/python"
  if [ -x "$python" ] && grep -qxF "$* $wanted" "$installed" 2>/dev/null; then
    return
  fi
  echo "Installing packages into $venv (once; with PyTorch's CUDA libraries about 6 GB) ..."
  local base
  base="$(find_python)"
  if ! "$base" -m venv "$venv"; then
    echo "error: could not make $venv with $base -m venv; on Debian and Ubuntu: apt-get install python3-venv" >&2
    exit 1
  fi
  local file files=()
  for file in "$@"; do files+=(-r "$root/$file"); done
  "$python" -m pip install --quiet --disable-pip-version-check "${files[@]}"
  "$python" -m pip install --quiet --disable-pip-version-check --no-deps --editable "$root"
  echo "$* $wanted" >>"$installed"
}
