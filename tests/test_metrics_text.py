"""The tables that evaluate prints: every figure under its head, and a mark where there is none."""

from typing import Any

from pixelplay.report.metrics_text import metrics_text, published_text

HEADS = ["AP", "AUC micro", "AUC macro", "EER", "PR-AUC", "best F1", "AUC macro, anchored"]


def figures(first: float, **changes: Any) -> dict[str, Any]:
    names = ("ap", "auc_micro", "auc_macro", "eer", "pr_auc", "best_f1", "auc_macro_anchored")
    values = {name: first + i / 100 for i, name in enumerate(names)}
    drawn = {"ap": [0.125, 0.25], "auc_micro": [0.5, 0.75], "level": 0.9, "draws": 500}
    return {**values, "macro_videos": 3, "intervals": drawn, **changes}


def metrics(**changes: Any) -> dict[str, Any]:
    detector = {**figures(0.2), "parameters": 1234567, "streams": {"conv_ae/mean": figures(0.3, auc_macro=None)}}
    whole = {"frames": 1234, "prevalence": 0.25, "detectors": {"conv_ae": detector}, "fused": figures(0.4)}
    return {**whole, "objects": {}, "thresholds": {}, "published": [], **changes}


def lines_of(table: str, rows: int) -> list[str]:
    """The head and the rows of a table, whose blocks of columns stand below each other."""
    lines = table.splitlines()
    assert max(map(len, lines)) <= 120
    blocks = [lines[i : i + rows + 1] for i in range(0, len(lines), rows + 1)]
    assert len({line.split()[0] for block in blocks for line in block[1:]}) == rows  # each has the names of all rows
    first, *others = blocks
    name = max(len(line.split()[0]) for line in first[1:])
    return [" ".join([line, *(block[i][name:] for block in others)]) for i, line in enumerate(first)]


def test_frames_have_a_line_for_each_detector_stream_and_the_fusion():
    above, table = metrics_text(metrics(), {"conv_ae": 12.34}).split("\n\n")
    assert above.startswith("1,234 labelled test frames, 0.2500 of them anomalous (the AP of random scores); AUC macro")
    assert above.endswith("over 3 videos; in brackets, 90% intervals from 500 resamplings of whole videos")
    head, *rows = lines_of(table, 3)
    assert head.endswith("frames/s parameters")
    positions = [head.index(name) for name in HEADS]
    assert positions == sorted(positions)
    cells = {row.split()[0]: row.split()[1:] for row in rows}
    shown = ["0.2000", "0.2100", "0.2200", "0.2300", "0.2400", "0.2500", "0.2600", "0.125-0.250", "0.500-0.750"]
    assert cells["conv_ae"] == [*shown, "12.3", "1,234,567"]
    assert cells["conv_ae/mean"][2] == "-"
    assert cells["fused"][-2:] == ["-", "-"]
    assert list(cells) == ["conv_ae", "conv_ae/mean", "fused"]


def test_external_members_have_a_line_before_the_fusion():
    table = metrics_text(metrics(external={"old": figures(0.1)}), {}).split("\n\n")[1]
    rows = [line.split() for line in lines_of(table, 4)[1:]]
    assert [row[0] for row in rows] == ["conv_ae", "conv_ae/mean", "old", "fused"]
    assert rows[2][1] == "0.1000" and rows[2][-2:] == ["-", "-"]


def test_without_intervals_there_is_a_mark():
    text = metrics_text(metrics(fused=figures(0.4, intervals=None)), {})
    assert "in brackets" not in text
    assert lines_of(text.split("\n\n")[1], 3)[-1].split()[-4:] == ["-", "-", "-", "-"]


def test_events_have_three_lines_with_what_is_known_of_them():
    found = {"events": 4, "right": 3, "labelled": 6, "found": 3, "precision": 0.75, "recall": 0.5, "f1": 0.6}
    found |= {"delay_seconds": {"mean": 1.25, "median": 1.0}, "delay_frames": {"mean": 25.0, "median": 20.0}}
    found |= {"false_alarms": 1, "false_alarms_per_hour": 12.34, "normal_hours": 0.08, "normal_share": 0.125}
    found |= {"false_alarms_unseen": 0.0625, "expected": 0.25, "latency_ap": 0.7}
    lines = metrics_text(metrics(events=found), {}).split("\n\n")[-1].splitlines()
    assert lines == [
        "events: 3 of 4 right, 3 of 6 labelled found; P 0.7500; R 0.5000; F1 0.6000",
        "first alarm 1.25 s late on average, median 1.00; 1 false alarms, 12.3 per hour of normal footage",
        "12.5% of normal frames in events; 6.2% above the threshold (expected up to 25.0%); latency-aware AP 0.7000",
    ]
    names = ("delay_seconds", "false_alarms_per_hour", "false_alarms_unseen", "latency_ap", "precision", "f1")
    fewer = metrics_text(metrics(events={**found, **dict.fromkeys(names)}), {}).split("\n\n")[-1].splitlines()
    assert fewer == [
        "events: 3 of 4 right, 3 of 6 labelled found; R 0.5000",
        "first alarm 25.00 frames late on average, median 20.00; 1 false alarms",
        "12.5% of normal frames in events",
    ]


def test_boxes_have_a_line_for_each_stream_and_a_mark_for_what_could_not_be_measured():
    rates = {"precision": 0.25, "recall": None, "f1": 0.125}
    whole = {
        "region": {"rbdc": 0.61, "tbdc": 0.62},
        "pixel": {
            "auroc": 0.63,
            "ap": 0.64,
            "aupro_0.3": 0.65,
            "best_f1": 0.66,
            "auroc_per_frame": 0.67,
            "ap_per_frame": 0.68,
        },
        "tao": {"evt": {"threshold": 1.0, "tao_region": rates, "tao_track": {**rates, "f1": 0.5}}},
    }
    lacking = {"pixel": {"reason": "no masks"}, "tao": {"evt": {"reason": "too few"}}}
    objects = {
        "frames": 2010,
        "regions": 2411,
        "tracks": 22,
        "videos": {"tracks": 12, "masks": 0},
        "detectors": {"d": {"every": 5, "streams": {"d/space": whole, "d/time": lacking}}},
    }
    *_, above, table = metrics_text(metrics(objects=objects), {}).split("\n\n")
    assert above == (
        "boxes against 2,411 regions and 22 tracks in 2,010 frames, from the track files of 12 videos and the masks "
        "of 0; "
        "pixel metrics pool the pixels of all frames, except 'by frame': means over single frames, as in papers; "
        "tao_* at the evt threshold"
    )
    objects["videos"] = {"tracks": 0, "masks": 12}  # regions and tracks are then the project's own
    *_, above, table = metrics_text(metrics(objects=objects), {}).split("\n\n")
    assert "the masks of 12, so not comparable with published RBDC and TBDC; pixel" in above
    head, first, second = lines_of(table, 2)
    assert head.split("pixel AUPRO_0.3")[0].split() == ["RBDC", "TBDC", "pixel", "AUROC", "pixel", "AP"]
    assert first.split() == [
        *("d/space", "0.6100", "0.6200", "0.6300", "0.6400", "0.6500", "0.6600", "0.6700", "0.6800"),
        *("0.2500", "-", "0.1250", "0.2500", "-", "0.5000"),
    ]
    assert second.split() == ["d/time", *["-"] * 14]


def test_thresholds_have_a_line_for_each_method_that_gave_one():
    drawn = {"false_alarms": [0.01, 0.125], "false_alarms_unseen": None, "level": 0.95}
    found = {
        "value": 1.5,
        "false_alarms": 0.05,
        "false_alarms_unseen": 0.375,
        "intervals": drawn,
        "precision": None,
        "recall": 0.5,
        "f1": 0.25,
    }
    moving = {name: value for name, value in found.items() if name != "value"}
    thresholds = {"conv_ae": {"evt": {"reason": "too few"}, "percentile": found, "adaptive": moving}}
    *_, table, lacking = metrics_text(metrics(thresholds=thresholds), {}).split("\n\n")
    assert [line.split() for line in table.splitlines()] == [
        ["threshold", "false", "alarms", "unseen", "P", "R", "F1", "[false", "alarms]", "[unseen]"],
        ["conv_ae,", "percentile", "1.5000", "0.0500", "0.3750", "-", "0.5000", "0.2500", "0.010-0.125", "-"],
        ["conv_ae,", "adaptive", "-", "0.0500", "0.3750", "-", "0.5000", "0.2500", "0.010-0.125", "-"],
    ]
    assert lacking == "no threshold: conv_ae, evt: too few"


def test_one_reason_for_several_is_given_once():
    thresholds = {name: {"evt": {"reason": "too few"}} for name in ("conv_ae", "st_ae")}
    text = metrics_text(metrics(thresholds=thresholds), {})
    assert text.endswith("\n\nno threshold: conv_ae, evt; st_ae, evt: too few")
    assert "thresholds" not in metrics_text(metrics(), {})


def test_footage_that_is_too_short_is_the_first_thing_that_is_said_and_once():
    remark = "394 normal frames of 2 videos, 6 independent peaks: 1 % cannot be estimated; expect up to 5 %"
    found = {"value": 1.5, "false_alarms": 0.0, "precision": None, "recall": None, "f1": None}
    thresholds = {name: {"evt": {**found, "remark": remark}, "percentile": found} for name in ("conv_ae", "fused")}
    assert metrics_text(metrics(thresholds=thresholds), {}).split("\n\n")[0].splitlines() == [
        "unreliable thresholds:",
        f"conv_ae, evt; fused, evt: {remark}",
    ]


def test_labels_of_one_class_have_their_reason_above_marks():
    missing = {
        name: None for name in ("ap", "auc_micro", "auc_macro", "eer", "pr_auc", "best_f1", "auc_macro_anchored")
    }
    none = {**missing, "macro_videos": 0, "intervals": None, "reason": "all 9 labels are 0 (normal): AP needs both"}
    text = metrics_text(metrics(prevalence=0.0, detectors={}, fused=none), {})
    above, table = text.split("\n\n")
    assert above.endswith(
        "0.0000 of them anomalous (the AP of random scores); all 9 labels are 0 (normal): AP needs both"
    )
    assert lines_of(table, 1)[-1].split() == ["fused", *["-"] * 11]


def test_published_figures_stand_with_their_ranks_and_sources():
    rows = [{"method": "theirs", "metric": "ap", "value": 0.66881, "rank": 1, "source": "arXiv 2409.16225, table 2"}]
    assert published_text([]) == ""
    assert published_text(rows).splitlines()[-1] == "   1  theirs  ap 0.6688  arXiv 2409.16225, table 2"
    two = [*rows, {"method": "ours: a", "metric": "auc_micro", "value": 0.9, "rank": None, "source": "b"}]
    assert published_text(two).splitlines()[-2:] == [
        "   1  theirs   ap        0.6688  arXiv 2409.16225, table 2",
        "   -  ours: a  auc_micro 0.9000  b",
    ]
    assert metrics_text(metrics(published=rows), {}).endswith(published_text(rows))
