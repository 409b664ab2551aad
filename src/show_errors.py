"""Show where the autoencoders' scores come from: frame, reconstruction and error heat map, as PNG.

See `python src/show_errors.py --help`.
"""

from pixelplay.cli import main

if __name__ == "__main__":
    main("show_errors")
