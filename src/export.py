"""Networks of trained detectors as ONNX files; see --help."""

from pixelplay.cli import main

if __name__ == "__main__":
    main("export")
