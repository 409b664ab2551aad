"""The commands: what each of them runs, and its help.

Examples are written as for a checkout; `pixelplay.command_line.as_started` rewrites them for other ways to start.
"""

from typing import NamedTuple

from pixelplay.mining.settings import MINING_STEPS

PED2 = "experiment=ped2 dataset.root=data/ped2"


class Command(NamedTuple):
    target: str  # "module:function", which takes the configuration
    help: str  # its first line stands in the list of commands
    writes: bool = False  # files of a run: one process at a time
    steps: tuple[str, ...] = ()  # what step= may name
    flags: tuple[str, ...] = ()  # keyword arguments of the function: --dry-run is dry_run=True
    recalls: bool = True  # the options of the run that run= names
    reads_configuration: bool = True  # else the function takes the arguments
    chooses: str | None = None  # option that, beside run=, chooses among the run's own: a keyword argument, too
    operand: str | None = None  # keyword argument of the function: the one word that is no option, such as a path
    takes_overrides: bool = False  # beside the configuration: what was typed for it


STAGES = {  # in order; a text without examples gets the usual one
    "prepare": "list a data set's videos, decode every frame once, hold out normal footage.",
    "detect": f"""detect objects in every frame, if a detector of the run needs them; cached per video.

python src/detect.py {PED2} weights.yolo=yolov8n.pt""",
    "extract": f"""follow the detected objects through time, if a detector needs that; cached per video.

python src/extract.py {PED2} weights.yolo=yolov8n.pt""",
    "train": "fit each detector on normal footage.",
    "score": "raw scores of every detector for test videos, held-out normal footage and pseudo-anomalies.",
    "fuse": "calibrate, smooth and weigh the raw scores; write the submission.",
    "events": "what is unusual in the test videos, since when, and which object: events, without labels.",
    "evaluate": "metrics of frames, pixels, regions and tracks, if the data set has labels.",
    "ablate": f"""what each part of the fusion contributes, measured on pseudo-anomalies, without labels.

python src/ablate.py {PED2}                       tables and plots
python src/ablate.py {PED2} ablate.search=true    and a fusion file for fuse.py""",
    "explain": f"""pictures of where scores come from, for the report; with show.*, of any frames, too.

python src/explain.py {PED2}                       the report's pictures
python src/explain.py … 'report.clips=[Test001,Test004]'             annotated MP4s beside the page, too
python src/explain.py … 'show.what=[errors]'                         error maps of the frames that score highest
python src/explain.py … show.video=Test001 'show.frames=[60,90]'     these frames: error maps, neighbours and boxes
python src/explain.py … show.video=Test001 show.clip=true            boxes of a whole video, too, as an MP4""",
    "report": "one HTML page about the run, to open in a browser.",
}

BEFORE_FUSION = tuple(STAGES)[: list(STAGES).index("fuse")]


def _stage(number: int, name: str, text: str) -> Command:
    example = "" if "\n" in text else f"\n\npython src/{name}.py {PED2}"
    return Command(f"pixelplay.stages.{name}:run", f"Stage {number}: {text}{example}", writes=True)


COMMANDS = {
    "run": Command(
        "pixelplay.pipeline:run",
        f"""Run the whole pipeline, from a data set to a submission, its metrics and a report.

./run_all.sh                                      the sample data set, no download, minutes on two cores
./run_all.sh {PED2}
./run_all.sh trainer.max_epochs=5 run=short       any key of the configuration can be set

Stages that are up to date are skipped; killed at any moment, the same command resumes.""",
        takes_overrides=True,
    ),
    **{name: _stage(number, name, text) for number, (name, text) in enumerate(STAGES.items(), start=1)},
    "predict": Command(
        "pixelplay.prediction:run",
        """Scores, events and clips of new files by a trained run.

python src/predict.py demo.mp4                                        by the sample's run
python src/predict.py ~/footage experiment=folder run=porch           whatever else that run was given, too

PATH is a video, a folder of frames, or a folder of such. Results lie in
outputs/EXPERIMENT/[RUN/]predictions/NAME/: scores.csv, events.csv, events.json and clips. Nothing is learnt
from the files, and nothing of the run is changed. Killed at any moment, the same command resumes.""",
        operand="path",
    ),
    "export": Command(
        "pixelplay.export:run",
        """Write the networks of trained detectors as ONNX files, for infer.py backend=onnx and for other programs.

python src/export.py                                                    of the sample's run
python src/export.py experiment=ped2 run=NAME detector=conv_ae          of one of a run's detectors

They lie in checkpoints/EXPERIMENT/[RUN/]DETECTOR/onnx/, each with a JSON that says what goes in and what comes out.
Each is first compared with PyTorch, on random input and on held-out footage. See docs/export.md.""",
        chooses="detector",
    ),
    "accept": Command(
        "pixelplay.accepted:run",
        """Accept events as normal: what looks and moves alike then raises no alarm.

python src/accept.py run=NAME event=ID            an event of the test videos, or of a source that `infer` has scored
python src/accept.py run=NAME                     list what is accepted
python src/accept.py run=NAME event=ID --remove   take it back
python src/accept.py run=NAME event=ID --scores   also take the scores of its frames for normal: see docs/events.md

ID is that of events.csv, or SOURCE/ID where several have it. An accepted event is a layer in
outputs/EXPERIMENT/[RUN/]accepted/: nothing that was trained or scored is changed.""",
        flags=("--scores", "--remove"),
    ),
    "infer": Command(
        "pixelplay.online.infer:run",
        """A camera, a file or a stream scored frame by frame by a trained run: events while they happen.

python src/infer.py source=demo.mp4                                   by the sample's run
python src/infer.py experiment=folder run=porch source=0 view=web     a webcam, with a live page
python src/infer.py … 'source=rtsp://viewer:$PASSWORD@192.168.1.20/stream1' 'events.sinks=[csv]'
python src/infer.py … source=demo.mp4 checkpoint=last backend=onnx

Results lie in outputs/EXPERIMENT/[RUN/]online/SOURCE/: events.jsonl, events/ with clips, scores.csv and
video.mp4. Ctrl-C ends it in order. See docs/online.md.""",
    ),
    "sweep": Command(
        "pixelplay.sweep:run",
        f"""Vary one setting of a detector: a run for each value, then a table and a picture of them all.

python src/sweep.py {PED2} sweep=pooling 'seeds=[0,1]'
python src/sweep.py sweep=losses 'detector=[temporal_mae_small]'     a reduced budget, for two cores

Sweeps of one experiment share runs. Killed at any moment, the same command resumes.""",
        takes_overrides=True,
    ),
    "status": Command(
        "pixelplay.stages.status:run",
        f"""List which stages have work to do; `./run_all.sh` with the same options runs them.

python src/status.py {PED2}     exit status 0: nothing to do, 3: work to do""",
    ),
    "runs": Command(
        "pixelplay.runs:run",
        """List runs and the variants of their fusions: what differs in their options, and their figures.

python src/runs.py                          of all experiments, the newest last
python src/runs.py experiment=ped2 --csv    of one, as CSV""",
        flags=("--csv",),
        recalls=False,
        takes_overrides=True,
    ),
    "submit": Command(
        "pixelplay.stages.submit:run",
        """Check the run's submission against the data set's sample_submission.csv; send it to Kaggle if told to.

python src/submit.py experiment=pixelplay26 weights=in_domain                                 only checks
python src/submit.py … submit.send=true 'submit.message=st_ae alone, sigma 7'                 sends it""",
    ),
    "validate": Command(
        "pixelplay.validate:main",
        """Check a submission file: header, ids, their order, and finite numbers.

python src/validate.py submissions/pixelplay26.csv --sample data/avenue_mini/sample_submission.csv
python src/validate.py submissions/pixelplay26.csv --run outputs/pixelplay26

Prints a line per problem and exits with status 1; `valid: N rows` and status 0 if there is none.""",
        reads_configuration=False,
    ),
    "mine": Command(
        "pixelplay.mining.files:run",
        """Find the unusual clips of a large collection: list clips, score them with VideoMAE, render, select.

python src/mine.py mine.source=footage weights=hub                              all steps
python src/mine.py step=manifest mine.source=data/nuscenes 'mine.cameras=[CAM_FRONT]'
python src/mine.py step=score weights.videomae=FOLDER mine.engine=ray           resumes where it was stopped
python src/mine.py step=render mine.render.count=30
python src/mine.py step=distribution distribution.bins=40
python src/mine.py step=select mine.select.count=50 mine.select.baseline=usual/scores.jsonl""",
        steps=MINING_STEPS,
        recalls=False,
    ),
    "doctor": Command(
        "pixelplay.doctor:run",
        f"""Check what a run needs before it starts: data set, weights, packages, device, disk, time.

python src/doctor.py {PED2}     exit status 0: ready, 1: something is missing""",
    ),
    "clean": Command(
        "pixelplay.clean:run",
        """Delete cached footage and other files that no run in outputs/ needs any longer.

python src/clean.py --dry-run                     list what would be deleted, with sizes
python src/clean.py paths.cache=FOLDER            the folders of a run are named by paths.…""",
        flags=("--dry-run",),
        recalls=False,
    ),
}
