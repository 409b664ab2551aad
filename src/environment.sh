# Sourced by run_all.sh and tests/run.sh. Sets $python to a Python that has the packages of the project.
#
# An active environment (virtual environment, conda, Kaggle) is used as it is: missing packages are listed, and nothing
# is installed into it. Without one, a .venv in the repository is made once and kept.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
supported="Python 3.11, 3.12 or 3.13" # requires-python in pyproject.toml

version_of() { # the version of a Python; nothing if it does not run
  "$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null || true
}

is_supported() { # whether that version is
  case "$1" in 3.11.* | 3.12.* | 3.13.*) ;; *) return 1 ;; esac
}

# require_supported PYTHON WHAT REMEDY: an error if a Python that the user chose does not run or is unsupported.
require_supported() {
  local version
  version="$(version_of "$1")"
  if is_supported "$version"; then return; fi
  if [ -z "$version" ]; then
    echo "error: $2: $1 is not a Python that runs; $3" >&2
  else
    echo "error: $2: $1 is Python $version, but PixelPlay needs $supported; $3" >&2
  fi
  return 1
}

# Sets $python to the Python that PYTHON= names, or the active environment's; empty if there is none. An unsupported one
# is an error: another one on the PATH would have other packages than the user sees.
find_chosen_python() {
  local again="and run the same command again"
  python=""
  if [ -n "${PYTHON:-}" ]; then
    python="$PYTHON"
    require_supported "$python" "PYTHON=$PYTHON" "choose another: PYTHON=/path/to/python $0"
  elif [ -n "${VIRTUAL_ENV:-}" ]; then
    python="$VIRTUAL_ENV/bin/python"
    require_supported "$python" "the active virtual environment $VIRTUAL_ENV" "leave it (deactivate), $again"
  elif [ -n "${CONDA_PREFIX:-}" ]; then
    python="$CONDA_PREFIX/bin/python"
    require_supported "$python" "the active conda environment $CONDA_PREFIX" \
      "activate another (conda create -n pixelplay python=3.12, conda activate pixelplay), or none (conda deactivate), $again"
  elif [ -n "${KAGGLE_KERNEL_RUN_TYPE:-}" ]; then
    python="$(command -v python3 || echo python3)"
    require_supported "$python" "Kaggle's Python" "choose another environment in the notebook's settings, $again"
  fi
}

find_base_python() { # the first supported Python on the PATH
  local candidate
  for candidate in python3 python3.13 python3.12 python3.11 python; do
    if is_supported "$(version_of "$candidate")"; then
      echo "$candidate"
      return
    fi
  done
  echo "error: no $supported found; install one, or name it: PYTHON=/path/to/python $0" >&2
  return 1
}

# use_environment FILE...: sets $python; a .venv gets the pinned packages of these requirement files (below $root).
use_environment() {
  find_chosen_python || exit 1
  if [ -n "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}${KAGGLE_KERNEL_RUN_TYPE:-}" ]; then
    "$python" "$root/src/environment.py" "$@" || exit 1
    return
  fi
  local base="$python" venv="$root/.venv" installed="$root/.venv/installed" wanted
  wanted="$(cd "$root" && cat "$@" pyproject.toml | cksum)"
  python="$venv/bin/python"
  if [ -x "$python" ] && grep -qxF "$* $wanted" "$installed" 2>/dev/null; then
    return
  fi
  echo "Installing packages into $venv (once; with PyTorch's CUDA libraries about 6 GB) ..."
  [ -n "$base" ] || base="$(find_base_python)"
  if ! "$base" -m venv "$venv"; then
    echo "error: could not make $venv with $base -m venv; on Debian and Ubuntu: apt-get install python3-venv" >&2
    exit 1
  fi
  local file files=() pip=("$python" -m pip install --quiet --disable-pip-version-check)
  for file in "$@"; do files+=(-r "$root/$file"); done
  "${pip[@]}" --require-hashes "${files[@]}"
  "${pip[@]}" --no-deps --editable "$root"
  echo "$* $wanted" >>"$installed"
}
