"""Stage 10: pictures of where scores come from, for the report and of any frames and videos; see --help."""

from pixelplay.cli import main

if __name__ == "__main__":
    main("explain")
