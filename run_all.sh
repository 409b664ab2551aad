#!/usr/bin/env bash
# The whole pipeline, from a data set to a submission and its metrics:
#
#   ./run_all.sh                                             the sample data set, no download, minutes on two cores
#   ./run_all.sh experiment=ped2 dataset.root=data/ped2      another experiment of configs/experiment/
#   ./run_all.sh trainer.max_epochs=5 run=short              any key of configs/ can be set
#
# Stages that are up to date are skipped; killed at any moment, the same command goes on.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/src/environment.sh"
use_environment requirements.txt
stage() { "$python" "$root/src/$1.py" "${@:2}"; }
export PIXELPLAY_COMMAND="$0" # what a message proposes to type; `bash run_all.sh` has no folder in it
[[ "$0" == */* ]] || PIXELPLAY_COMMAND="./$0"
case " $* " in
  *" --help "* | *" -h "*) exec "$python" "$root/src/status.py" --help ;;
  *" --version "*) exec "$python" "$root/src/status.py" --version ;;
esac

work=0
stage status "$@" || work=$? # 0: nothing to do, 3: there is work
if [ "$work" -eq 3 ]; then
  stage prepare "$@"  # list the videos, decode every frame once, hold out normal footage
  stage detect "$@"   # boxes of objects, where a detector asks for them
  stage train "$@"    # fit each detector on normal footage
  stage score "$@"    # raw scores per frame: test videos and held-out normal footage
  stage fuse "$@"     # calibrate, smooth, weigh; write the submission
elif [ "$work" -ne 0 ]; then
  exit "$work"
fi
stage evaluate "$@"   # metrics of frames, boxes and thresholds where labels are on disk
stage ablate "$@"     # what each part of the fusion is worth on planted anomalies; needs no labels
stage explain "$@"    # pictures of where scores come from: error maps, nearest neighbours, boxes
stage report "$@"     # one HTML page of it all; says where it is
