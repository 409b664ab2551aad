"""List which stages have work to do; `./run_all.sh` with the same options runs them; see --help."""

from pixelplay.cli import main

if __name__ == "__main__":
    main("status")
