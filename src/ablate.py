"""Stage 9: what each part of the fusion contributes, measured on pseudo-anomalies, without labels; see --help."""

from pixelplay.cli import main

if __name__ == "__main__":
    main("ablate")
