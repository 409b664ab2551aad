"""What a person wants to know first: figures where labels are known, else events and how far they can be trusted."""

from typing import TYPE_CHECKING, Any

from pixelplay.events.event import Alarm, Events
from pixelplay.report.outcome import Outcome
from pixelplay.report.page import Fact
from pixelplay.report.tables import NONE, number_text
from pixelplay.scores.settings import FUSED

if TYPE_CHECKING:
    from pixelplay.config import Config

FIGURES = {"ap": "AP of the fusion", "auc_micro": "AUC micro", "auc_macro": "AUC macro", "eer": "EER"}


def subtitle(config: "Config", outcome: Outcome) -> str:
    labelled, videos = len(outcome.labelled), len(outcome.videos)
    if labelled:
        which = "every test video" if labelled == videos else f"{labelled} of {videos} test videos"
        return f"Data set {config.dataset.name}, with labels for {which}"
    return f"Data set {config.dataset.name}, no labels on disk: scores without metrics"


def headline(outcome: Outcome, metrics: dict[str, Any] | None, found: Events | None) -> list[Fact]:
    frames = sum(len(one.numbers) for one in outcome.videos)
    size = Fact(f"{frames:,}", f"test frames in {len(outcome.videos)} videos")
    events = [_events(found, metrics)] if found else []
    return [*_figures(metrics), *events, size] if metrics else [*events, size, *_without_labels(outcome, found)]


def trust(found: Events | None) -> list[str]:
    """Why thresholds can't promise the rate of false alarms that was asked for, or are missing."""
    if found is None:
        return []
    doubts = [f"Threshold of {one.stream}: {one.remark}." for one in found.alarms if one.remark]
    return [*doubts, *(f"{stream}: {why}." for stream, why in found.no_alarm.items())]


def _events(found: Events, metrics: dict[str, Any] | None) -> Fact:
    f1, count = ((metrics or {}).get("events") or {}).get("f1"), len(found.events)
    return Fact(f"{count:,}", "event" if count == 1 else "events", "" if f1 is None else f"F1 {number_text(f1)}")


def _figures(metrics: dict[str, Any]) -> list[Fact]:
    fused = metrics["fused"]
    drawn = fused.get("intervals") or {}
    facts = [
        Fact(number_text(fused[key]), what, " to ".join(map(number_text, drawn.get(key, []))))
        for key, what in FIGURES.items()
        if fused.get(key) is not None
    ]
    missing = [Fact(NONE, fused["reason"])] if "reason" in fused else []
    anomalous = "of the frames anomalous" + (": AP by chance" if facts else "")
    return [*facts, *missing, Fact(number_text(metrics["prevalence"]), anomalous)]


def _without_labels(outcome: Outcome, found: Events | None) -> list[Fact]:
    if found is None:
        flipped, noisy = (sum(int(getattr(one, mark).sum()) for one in outcome.videos) for mark in ("flipped", "noisy"))
        return [Fact(f"{flipped:,}", "flipped frames (corrected)"), Fact(f"{noisy:,}", "noisy frames")]
    seconds = found.heldout_seconds
    held = Fact(f"{found.heldout_frames:,}", "held-out normal frames", "" if seconds is None else f"{seconds:,.0f} s")
    return [held, *(_threshold(one) for one in found.alarms if one.stream == FUSED)]


def _threshold(alarm: Alarm) -> Fact:
    expected = "" if alarm.expected is None else f"at most {100 * alarm.expected:.2g} % of normal frames above"
    return Fact(number_text(alarm.threshold), f"threshold of the fusion ({alarm.method})", expected)
