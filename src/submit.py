"""Checks the run's submission against the data set's sample_submission.csv, and sends it to Kaggle when told to.

python src/submit.py experiment=pixelplay26 weights=in_domain                                         checks, no more
python src/submit.py … submit.send=true 'submit.message=st_ae alone, sigma 7'                         and sends it
"""

from pixelplay.cli import command
from pixelplay.stages import submit

if __name__ == "__main__":
    command(submit.run)
