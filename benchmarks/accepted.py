"""Whether an accepted event is quiet afterwards, and what else becomes quiet with it.

Uses a run of Ped2: `./run_all.sh experiment=ped2 dataset.root=data/ped2 weights.yolo=yolov8n.pt` once. Each event with
objects is accepted alone, and all test videos are scored and fused again. Run: `python -m benchmarks accepted`.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch

from benchmarks.results import record
from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.detectors import registry
from pixelplay.detectors.base import Accepts, Detector
from pixelplay.detectors.registry import needing
from pixelplay.errors import PixelPlayError
from pixelplay.evaluation.members import read_members
from pixelplay.evaluation.object_members import read_streams_table
from pixelplay.evaluation.score_tables import read_object_streams, read_scores
from pixelplay.events.event import Event, Events
from pixelplay.events.vectors import EventVectors
from pixelplay.objects.tables import NEEDS, with_objects
from pixelplay.run.artifacts import read_model
from pixelplay.run.files import RunFiles
from pixelplay.scores.fuse import fuse
from pixelplay.scores.normalise import normalise
from pixelplay.scores.objects import frame_scores, fuse_objects
from pixelplay.scores.settings import FUSED, OBJECTS
from pixelplay.videos.index import Index, load_index

RUN = ["experiment=ped2", "weights.yolo=yolov8n.pt"]
MEMBER = "conv_ae"  # of frames, for the second table


def main() -> None:
    config = load_config(RUN)
    files = RunFiles.of(config)
    try:
        run = Run(config)
        events = [one for one in read_model(files.events, Events, made_by="events").events if one.stream == FUSED]
        vectors = {one.id: EventVectors.load(files.events_folder / f"{one.id}.npz") for one in events if one.tracks}
    except PixelPlayError as error:
        raise SystemExit(f"{error}\n{__doc__}") from None
    before, rows = run.fused(), []
    for one in events:
        if one.id not in vectors:
            continue
        run.accept([vectors[one.id]])
        after = run.fused()
        others = [other for other in events if other.video != one.video]
        still = sum(loud(after, other) > 0 for other in others)
        left = sum(loud(after, other) for other in others) / sum(loud(before, other) for other in others)
        peaks = " -> ".join(f"{inside(table, one).max():.2f}" for table in (before, after))
        frames = " -> ".join(str(loud(table, one)) for table in (before, after))
        rows.append([one.id, str(len(one.tracks)), peaks, frames, f"{still} of {len(others)}", f"{left:.0%}"])
    run.accept([])
    assert before.equals(run.fused()), "without accepted events, scores are not as before"
    limit = events[0].threshold
    columns = [
        "accepted",
        "objects",
        "its peak",
        "its frames above",
        "events of other videos that stay",
        "their frames",
    ]
    about = f"Backbone {config.weights.backbone}; threshold {limit:.2f}."
    record("accepted", columns, rows, ["faiss-cpu", "numpy"], f"{about} {of_frames(config, run, events)}")


def inside(table: pd.DataFrame, event: Event) -> pd.Series:
    """The fused scores of an event's frames."""
    rows = table[(table["video"] == event.video) & table["frame"].between(event.start.frame, event.end.frame)]
    return rows["score"]


def loud(table: pd.DataFrame, event: Event) -> int:
    return int((inside(table, event) > event.threshold).sum())


class Run:
    """A run whose objects are scored again, with what detectors have accepted by then."""

    def __init__(self, config: Config):
        self.config, self.bare = config, load_index(config)
        needs = [need for need in NEEDS if needing(config, need)]
        self.index: Index = with_objects(config, self.bare, needs)
        listed = read_streams_table(config)
        self.streams = listed["member"][~listed["left_out"]].tolist()
        known = read_object_streams(config, self.bare)
        self.normal = {s: known[s][known[s]["split"] == "calibration"] for s in self.streams}
        self.detectors: Mapping[str, Detector] = {}
        for name in dict.fromkeys(stream.partition("/")[0] for stream in self.streams):
            detector = registry.create(name, config.detectors[name], torch.device("cpu"))
            detector.load(RunFiles.of(config).detector(name))
            self.detectors = {**self.detectors, name: detector}
        tables = {name: read_scores(config, name, self.bare) for name in (*config.detectors, OBJECTS)}
        raw = {str(s): of for table in tables.values() for s, of in table.groupby("stream", sort=False)}
        members, self.fusion, _ = read_members(config, raw)
        self.members = {stream: of[of["split"] != "pseudo"] for stream, of in members.items()}

    def accept(self, events: list[EventVectors]) -> None:
        for one in self.detectors.values():
            if isinstance(one, Accepts):
                one.accept(events)

    def fused(self) -> pd.DataFrame:
        """Rows of the stream `fused` of the test videos."""
        parts = {stream: [of] for stream, of in self.normal.items()}
        for detector in self.detectors.values():
            for video in self.index.test:
                rows = detector.score(video).objects
                assert rows is not None
                for stream, of in rows.groupby("stream", sort=False):
                    if stream in parts:
                        parts[str(stream)].append(of.assign(split="test", video=video.id))
        settings = self.config.fusion.objects
        objects = fuse_objects({s: pd.concat(of, ignore_index=True) for s, of in parts.items()}, settings)
        test = frame_scores(objects, [("test", video.id, video.numbers) for video in self.index.test], settings)
        known = self.members[OBJECTS]
        frames = pd.concat([test, known[known["split"] == "calibration"]], ignore_index=True)
        table = fuse({**self.members, OBJECTS: frames}, self.fusion)
        return table[(table["stream"] == FUSED) & (table["split"] == "test")]


def of_frames(config: Config, run: Run, events: list[Event]) -> str:
    """What scores of an event's frames do that join the normal ones, of a member of frames."""
    table, told = run.members[MEMBER], []
    normal = table.loc[table["split"] == "calibration", "score"].to_numpy(np.float64)
    test = table[table["split"] == "test"]
    for method in ("calibrated", "calibrated_z", "calibrated_minmax", "calibrated_tail"):
        settings = run.fusion.base_of(MEMBER).normalise.model_copy(update={"method": method})
        found = []
        for one in events:
            own, others = inside(test, one).to_numpy(), test.loc[test["video"] != one.video, "score"].to_numpy()
            for reference in (normal, np.concatenate([normal, own])):
                found += [normalise(own, reference, settings).max(), normalise(others, reference, settings).mean()]
        own, others, own_after, others_after = np.reshape(found, (-1, 4)).mean(axis=0)
        told.append(f"{method} {own:.2f} -> {own_after:.2f}, others {others:.2f} -> {others_after:.2f}")
    return (
        f"With `--scores`, {MEMBER} alone, means over {len(events)} events, of the event's highest score and of all "
        f"frames of other videos: {'; '.join(told)}."
    )


if __name__ == "__main__":
    main()
