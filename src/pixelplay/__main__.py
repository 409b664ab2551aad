"""`python -m pixelplay COMMAND [key=value …]`: the same as `pixelplay COMMAND`."""

from pixelplay.cli import main

if __name__ == "__main__":
    main()
