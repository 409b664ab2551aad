"""Lists the packages that the active environment lacks, with the command that installs them; installs nothing.

    python src/environment.py [requirement files]

Runs on a bare Python and checks pyproject.toml's ranges: exact pins are for the .venv that the project makes. What only
some detectors need is checked by the command that runs them, before it starts; the tests need all of it.
"""

import sys
from itertools import chain

try:
    from pixelplay import requirements
except ImportError:  # of the package packaging
    sys.exit(
        f"error: the active environment ({sys.prefix}) has neither pip nor the package packaging: run "
        "`python -m ensurepip` (in an environment made by uv: `uv pip install packaging`), then the same command again"
    )


def main(files: list[str]) -> None:
    wanted = requirements.dependencies()
    if any("tests" in file for file in files):
        wanted += chain(*requirements.extras().values())
    lacking = requirements.lacking(wanted)
    if lacking:
        sys.exit(f"""error: packages that PixelPlay needs are missing in the active environment ({sys.prefix}):
{requirements.listed(lacking)}
Install them yourself (nothing is installed into your own environment):
{requirements.how_to_install(lacking)}
Or leave the environment (deactivate) and let the project make its own .venv.""")


if __name__ == "__main__":
    main(sys.argv[1:])
