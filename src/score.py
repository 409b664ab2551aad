"""Stage 5: raw scores of every detector for test videos, held-out normal footage and pseudo-anomalies; see --help."""

from pixelplay.cli import main

if __name__ == "__main__":
    main("score")
