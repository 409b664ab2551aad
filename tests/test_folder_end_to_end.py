"""Footage of one's own, without labels: three videos of two cameras, one of them held upright, from files to events."""

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from tests.pipeline import run_here, stages_here
from tests.plaza import walk

from pixelplay.events.event import Event, Events

NTSC = Fraction(30000, 1001)
RATES = {"door": NTSC, "phone": NTSC, "yard": Fraction(15)}  # frames per second
LENGTH, FIRST, STOP = 128, 60, 90  # frames of a test video; those with something new
SMALL = (
    *("experiment=folder", "dataset.root=footage", "detector=[conv_ae_tiny]", "workers=1"),
    *("trainer=tiny", "restore=tiny", "pseudo=none", "events.clips.around=0.5"),
)


def footage(name: str, split: str) -> np.ndarray:
    """A walker, uint8 (T, H, W, 3), of `phone` 120 high and 80 wide; in test videos a white square shoots across."""
    once = walk(LENGTH // 2, scene=int(name == "yard"), top=44 if name == "door" else 40)
    frames = np.concatenate([once] * (4 if split == "train" else 2))
    if split == "test":
        for t in range(FIRST, STOP):
            left = 7 * (t - FIRST) % 90
            frames[t, 10:40, left : left + 30] = 255
    return np.rot90(frames, axes=(1, 2)) if name == "phone" else frames


def write_mp4(path: Path, frames: np.ndarray, rate: Fraction, rotation: int = 0) -> None:
    """H.264; a video with a `rotation`, degrees, is shown turned by it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "10"})
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
        if rotation:
            stream.set_display_rotation(rotation)
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which the whole pipeline ran, and what it printed."""
    folder = tmp_path_factory.mktemp("folder")
    for split in ("train", "test"):
        for name, rate in RATES.items():
            frames = footage(name, split)
            if name == "phone":  # as phones write it: lying, with a note to turn it
                write_mp4(folder / f"footage/{split}/phone.mp4", np.rot90(frames, axes=(1, 2)), rate, rotation=-90)
            else:
                write_mp4(folder / f"footage/{split}/{name}.mp4", frames, rate)
    with stages_here():
        done = run_here("run.py", *SMALL, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.fixture(scope="module")
def events(ended: tuple[Path, str]) -> list[Event]:
    return Events.model_validate_json((ended[0] / "outputs/folder/events.json").read_bytes()).events


def with_the_square(events: list[Event], video: str) -> Event:
    """The event of a video whose peak is where there is the white square."""
    return next(event for event in events if event.video == video and FIRST <= event.peak.frame < STOP)


@pytest.mark.parametrize("video", RATES)
def test_what_was_never_seen_before_is_an_event_with_its_time_in_seconds(events: list[Event], video: str):
    event = with_the_square(events, video)
    for moment in (event.start, event.peak, event.end):
        assert moment.seconds == pytest.approx(moment.frame / float(RATES[video]), abs=0.001)
    assert event.start.frame <= event.peak.frame <= event.end.frame
    assert event.score > event.threshold


@pytest.mark.parametrize("video", RATES)
def test_clips_play_as_fast_and_as_upright_as_the_footage(ended: tuple[Path, str], events: list[Event], video: str):
    event = with_the_square(events, video)
    assert event.clip and event.thumbnail
    folder = ended[0] / "outputs/folder/events"
    assert (folder / event.thumbnail).stat().st_size > 0
    with av.open(str(folder / event.clip)) as container:
        [stream] = container.streams
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")  # which every browser plays
        assert float(stream.average_rate) == pytest.approx(float(RATES[video]), rel=0.001)
        shown = sum(1 for _ in container.decode(video=0))
        assert (stream.height > stream.width) == (video == "phone")
    around = round(0.5 * float(RATES[video]))
    first, last = max(event.start.frame - around, 0), min(event.end.frame + around, LENGTH - 1)
    assert shown == pytest.approx(last - first + 1, abs=2)


def test_the_run_ends_with_the_events_the_page_and_the_time(ended: tuple[Path, str], events: list[Event]):
    folder, output = ended
    *_, last = (line for line in output.splitlines() if line.startswith("["))
    rows = dict(line.split(maxsplit=1) for line in output[output.index(last) :].splitlines()[-5:])
    assert rows["events"].startswith(
        f"{len(events)} in {len({event.video for event in events})} videos; the most severe:"
    )
    assert " s: " in rows["events"]
    assert (folder / rows["page"]).is_file() and (folder / rows["submission"]).is_file()
    assert "of which" in rows["time"]
    assert "no labels on disk" in output and not (folder / "outputs/folder/metrics.json").exists()


def test_the_page_has_the_clips(ended: tuple[Path, str], events: list[Event]):
    page = (ended[0] / "outputs/folder/report/index.html").read_text()
    assert all(event.clip in page for event in events if event.clip)
    assert json.loads((ended[0] / "outputs/folder/events.json").read_text())["heldout_seconds"] > 0
