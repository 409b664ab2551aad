"""Names what the active environment lacks to run this project, with the command that installs it; installs nothing.

    python src/environment.py [requirement files]

Runs on a bare Python: it reads pyproject.toml's ranges, since exact pins are for the .venv that the project makes.
It asks for what every run needs. What only some detectors need is named by the command that runs them, before it
starts; the tests need all of it.
"""

import sys

try:
    from pixelplay import requirements
except ImportError:  # of the package packaging: the rest is the standard library's
    sys.exit(
        f"error: the active environment ({sys.prefix}) has neither pip nor the package packaging: run "
        "`python -m ensurepip` (or, made by uv, `uv pip install packaging`), then the same command again"
    )


def main(files: list[str]) -> int:
    wanted = requirements.dependencies()
    if any("tests" in file for file in files):
        wanted += [package for name in requirements.extras() for package in requirements.extra(name)]
    lacking = requirements.lacking(wanted)
    if not lacking:
        return 0
    print(f"error: the active environment ({sys.prefix}) lacks packages that PixelPlay needs:", file=sys.stderr)
    for text, found in lacking.items():
        print(f"  {text:40} {found}", file=sys.stderr)
    print(
        f"""
Install them yourself (nothing is installed into an environment of yours unasked):
{requirements.how_to_install(lacking)}
Or leave the environment (deactivate) and let the project make its own .venv.""",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
