"""Where Kaggle mounts a notebook's inputs. Standard library only: packages may not be installed yet.

Two layouts are in use, even in one session: `<slug>` of a competition or data set directly below `/kaggle/input`, and
`competitions/<slug>` beside `datasets/<owner>/<slug>`.
"""

import os
from pathlib import Path

from pixelplay.errors import DataError


def on_kaggle(root: Path) -> bool:
    """Whether this is a Kaggle session; `root` is its input folder, which is missing while nothing is attached."""
    return "KAGGLE_KERNEL_RUN_TYPE" in os.environ or root.is_dir()


def attached(slug: str, root: Path) -> Path | None:
    """The folder of the attached competition or data set `slug`; raises DataError for data sets of several owners."""
    datasets = sorted(root.glob(f"datasets/*/{slug}"))
    found = [folder for folder in (root / slug, root / "competitions" / slug, *datasets) if folder.is_dir()]
    if len(found) > 1 and found[0] in datasets:
        raise DataError(
            f"several data sets called {slug} are attached: {', '.join(map(str, found))}; remove all but one from the "
            "notebook's inputs"
        )
    return found[0] if found else None


def attached_competition(slug: str, root: Path) -> Path:
    """The folder of the competition `slug` below `root`. Raises DataError if it is not attached."""
    folder = attached(slug, root)
    if folder is None:
        raise DataError(
            f"competition not attached: neither {root / slug} nor {root / 'competitions' / slug} is there.\n"
            "In the notebook editor's right-hand panel, under Input, choose Add Input, then Competitions, search for "
            f"{slug} and press its plus sign. Kaggle may ask you to accept the rules on "
            f"https://www.kaggle.com/competitions/{slug} first. Then run the notebook again."
        )
    return folder
