"""Check a submission file: header, ids, their order, and finite numbers; see --help."""

from pixelplay.cli import main

if __name__ == "__main__":
    main("validate")
