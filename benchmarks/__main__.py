"""Run benchmarks by name, or all of them; the tables go to benchmarks/RESULTS.md.

python -m benchmarks                  all
python -m benchmarks windows          one
"""

import argparse
import importlib
import pkgutil

import benchmarks

NOT_BENCHMARKS = {"__main__", "allocation", "causality", "corrupted", "online", "results", "runs", "sample_kinds"}


def main() -> None:
    names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name not in NOT_BENCHMARKS]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", choices=[*names, []], metavar="name", help=f"any of: {', '.join(names)}")
    for name in parser.parse_args().names or names:
        importlib.import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
