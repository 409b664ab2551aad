#!/usr/bin/env bash
# The whole pipeline, from a data set to a submission, its metrics and a report:
#
#   ./run_all.sh                                             the sample data set, no download, minutes on two cores
#   ./run_all.sh experiment=ped2 dataset.root=data/ped2      another experiment of configs/experiment/
#   ./run_all.sh trainer.max_epochs=5 run=short              any key of configs/ can be set
#
# Sets up the environment and calls src/run.py, which runs these stages, each by its own src/<stage>.py:
#
#   prepare    list the videos, decode every frame once, hold out normal footage
#   detect     boxes of objects, if a detector needs them
#   extract    these objects followed through time, if a detector needs that
#   train      fit each detector on normal footage
#   score      raw scores per frame: test videos, held-out normal footage, pseudo-anomalies
#   fuse       calibrate, smooth, weigh; write the submission
#   events     what is unusual in the test videos, since when, and which object; needs no labels
#   evaluate   metrics of frames, boxes and thresholds, if there are labels
#   ablate     what each part of the fusion contributes on pseudo-anomalies; needs no labels
#   explain    pictures of where scores come from
#   report     one HTML page about all of it
#
# Stages that are up to date are skipped; killed at any moment, the same command resumes.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/src/environment.sh"
use_environment requirements.txt
export PIXELPLAY_COMMAND="$0" # what messages propose to type; `bash run_all.sh` has no folder in it
[[ "$0" == */* ]] || PIXELPLAY_COMMAND="./$0"
exec "$python" "$root/src/run.py" "$@"
