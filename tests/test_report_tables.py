"""Tables of the report: known and unknown figures of metrics.json, and any CSV, as the text that is shown."""

import math
from pathlib import Path

import pytest

from pixelplay.errors import DamagedArtifactError
from pixelplay.report.page import duration
from pixelplay.report.scores_table import published_table, scores_table, thresholds_table
from pixelplay.report.tables import NONE, csv_table, heading, number_text, object_tables, score_tables

FIGURES = {"ap": 0.61234, "auc_micro": 0.7, "prevalence": 0.25, "frames": 1200}
METRICS = {
    "frames": 1200,
    "prevalence": 0.25,
    "detectors": {
        "conv_ae": {
            **FIGURES,
            "parameters": 99,
            "unsmoothed": {"ap": 0.5, "eer": 0.4},
            "streams": {"conv_ae/mean": {**FIGURES, "ap": 0.6}},
        },
        "st_ae": {**FIGURES, "auc_micro": None, "parameters": 4321, "streams": {}},
    },
    "fused": {"ap": 0.7, "auc_micro": 0.8},
    "objects": {},
}


def texts(table) -> dict[str, list[str]]:
    return {name: row.tolist() for name, row in table.cells.iterrows()}


def head(table) -> list[str]:
    return table.cells.columns.tolist()


def with_small_print(table, row: int) -> list[tuple[str, str]]:
    """Text and small print of each cell of a row."""
    return list(zip(table.cells.iloc[row], table.below.iloc[row], strict=True))


def text_columns(table) -> set[int]:
    return {i for i, numeric in enumerate(table.numeric) if not numeric}


def test_every_detector_stream_and_the_fusion_have_a_row_and_every_figure_a_column():
    table = score_tables(METRICS)[0]
    assert head(table) == ["AP", "AUC micro", "parameters"]
    assert texts(table) == {
        "conv_ae": ["0.612", "0.700", "99"],
        "conv_ae/mean": ["0.600", "0.700", NONE],
        "st_ae": ["0.612", NONE, "4,321"],
        "fused": ["0.700", "0.800", NONE],
    }
    assert table.styles == ["detector", "stream", "detector", "total"]


def test_external_members_stand_between_the_detectors_and_the_fusion():
    table = score_tables({**METRICS, "external": {"old": {**FIGURES, "ap": 0.3}}})[0]
    assert table.cells.index.tolist() == ["conv_ae", "conv_ae/mean", "st_ae", "old", "fused"]
    assert texts(table)["old"] == ["0.300", "0.700", NONE]


def test_what_every_row_repeats_is_told_once():
    assert score_tables(METRICS)[0].alike == ["prevalence 0.250", "frames 1,200"]


def test_equal_scores_are_no_repetition_to_be_told_once():
    same = {"detectors": {"a": {"ap": 0.5, "streams": {}}}, "fused": {"ap": 0.5}}
    assert texts(score_tables(same)[0]) == {"a": ["0.500"], "fused": ["0.500"]}


def test_a_group_of_figures_is_a_table_of_its_own_with_the_rows_that_have_it():
    unsmoothed = score_tables(METRICS)[1]
    assert (unsmoothed.title, head(unsmoothed)) == ("unsmoothed", ["AP", "EER"])
    assert texts(unsmoothed) == {"conv_ae": ["0.500", "0.400"]}


def test_an_interval_stands_below_its_figure_and_what_it_is_is_told_once():
    drawn = {"ap": [0.5, 0.7], "level": 0.95, "draws": 998}
    metrics = {
        "detectors": {"a": {"ap": 0.6, "eer": 0.3, "intervals": drawn, "streams": {}}},
        "fused": {"ap": 0.65, "eer": 0.2, "intervals": None},
    }
    (table,) = score_tables(metrics)
    assert with_small_print(table, 0) == [("0.600", "0.500 to 0.700"), ("0.300", "")]
    assert with_small_print(table, 1) == [("0.650", ""), ("0.200", "")]
    assert head(table) == ["AP", "EER"]
    assert table.alike == ["95 % intervals from 998 bootstrap draws of whole videos"]


def test_figures_that_nobody_foresaw_are_shown_whatever_their_kind():
    odd = {"warp_factor": 9.975, "pair": [0.1, 0.9], "many": [1, 2, 3], "remark": "<b>", "done": True, "gone": math.nan}
    (table,) = score_tables({"detectors": {"a": {**odd, "streams": {}}}, "fused": {}})
    assert head(table) == ["warp factor", "pair", "many", "remark", "done", "gone"]
    assert texts(table)["a"] == ["9.975", "0.100 to 0.900", "1, 2, 3", "<b>", "yes", NONE]
    assert texts(table)["fused"] == [NONE] * 6
    assert text_columns(table) == {2, 3}


def test_the_scores_table_has_a_row_per_detector_with_its_streams_under_it_and_the_best_in_bold():
    table = scores_table(METRICS, {"conv_ae": 387.31})
    assert [name for name, _ in table.heads] == ["AP", "AUC micro", "frames/s", "parameters"]
    rows = {
        one.name: [cell.text for cell in one.cells] for group in table.groups for one in (group.row, *group.streams)
    }
    assert rows == {
        "conv_ae": ["0.612", "0.700", "387.3", "99"],
        "conv_ae/mean": ["0.600", "0.700", NONE, NONE],
        "st_ae": ["0.612", NONE, NONE, "4,321"],
    }
    assert [[one.name for one in group.streams] for group in table.groups] == [["conv_ae/mean"], []]
    best = {
        one.name for one in (table.total, *(group.row for group in table.groups)) for cell in one.cells if cell.best
    }
    assert best == {"fused"}, "0.7 and 0.8 are the highest AP and AUC; no speed, no size is called the best"
    assert table.about == ["1,200 labelled test frames, 25.0 % of them anomalous"]


def test_the_lowest_error_rate_is_the_best_and_a_lone_figure_is_not():
    metrics = {**METRICS, "detectors": {"a": {"eer": 0.2}, "b": {"eer": 0.3}}, "fused": {"eer": 0.4, "ap": 0.5}}
    table = scores_table(metrics, {})
    assert [name for name, _ in table.heads] == ["AP", "EER"]
    assert [[cell.best for cell in group.row.cells] for group in table.groups] == [[False, True], [False, False]]
    assert [cell.best for cell in table.total.cells] == [False, False]


def test_figures_of_boxes_and_external_members_are_in_the_scores_table():
    region = {"frames": 9, "videos": {"tracks": 2, "masks": 1}}
    region["detectors"] = {"st_ae": {"streams": {"st_ae": {"region": {"rbdc": 0.25, "tbdc": 0.5}}}}}
    table = scores_table({**METRICS, "external": {"old": {"ap": 0.3}}, "objects": region}, {})
    assert [name for name, _ in table.heads] == ["AP", "AUC micro", "RBDC", "TBDC", "parameters"]
    assert [group.row.name for group in table.groups] == ["conv_ae", "st_ae", "old"]
    assert [cell.text for cell in table.groups[1].row.cells] == ["0.612", NONE, "0.250", "0.500", "4,321"]
    assert "RBDC and TBDC against the track files of 2 videos and the masks of 1" in table.about


def test_intervals_of_the_fusion_are_told_in_words():
    drawn = {"ap": [0.5, 0.75], "level": 0.95, "draws": 1000}
    table = scores_table({**METRICS, "fused": {"ap": 0.6, "macro_videos": 8, "intervals": drawn}}, {})
    assert table.about[1:] == [
        "AUC macro over 8 videos that have both classes",
        "below the figures, 95 % intervals from 1,000 bootstrap draws of whole videos",
    ]
    assert table.total.cells[0].below == "0.500 to 0.750"


def test_published_figures_stand_with_their_sources_and_ours_among_them():
    published = [
        {"method": "OCAD", "metric": "auc_micro", "value": 0.978, "source": "arXiv 1812.04960", "rank": 2},
        {"method": "ours: fused", "metric": "auc_micro", "value": 0.99, "source": "this run", "rank": 1},
    ]
    table, told = published_table(published, {})
    assert head(table) == ["metric", "rank", "value", "source"]
    assert texts(table)["OCAD"] == ["AUC micro", "2", "0.978", "arXiv 1812.04960"]
    assert (table.styles, told) == (["", "ours"], [])


def test_why_ours_have_no_rank_and_which_tracks_count_is_told():
    reason = "2 of 12 test videos: not comparable with published figures"
    published = [{"method": "ours: fused", "metric": "rbdc", "value": 0.99, "source": reason, "rank": None}]
    _, told = published_table(published, {"videos": {"tracks": 8, "masks": 4}})
    assert told[0] == f"Ours have no rank: {reason}."
    assert "the track files of 8 videos and the masks of 4" in told[1]
    assert published_table([], {}) == (None, [])


def test_thresholds_are_a_row_per_stream_and_method_the_fusion_first_and_doubts_are_told_once():
    drawn = {"false_alarms": [0.01, 0.2], "level": 0.95}
    evt = {"value": 0.5, "false_alarms": 0.04, "parameters": {"risk": 0.01}, "intervals": drawn, "remark": "too short"}
    given = {"conv_ae": {"evt": evt, "fixed": {"reason": "names none"}}, "fused": {"evt": {**evt, "value": 0.75}}}
    table, told = thresholds_table(given)
    assert head(table)[:3] == ["threshold", "false alarms, held out", "false alarms, unseen"]
    assert {name: row[0] for name, row in texts(table).items()} == {"fused, evt": "0.750", "conv_ae, evt": "0.500"}
    assert table.below.iloc[0].tolist()[:2] == ["", "0.010 to 0.200"]
    assert table.alike == ["95 % intervals from bootstrap draws of whole videos"]
    assert told == ["fused, evt; conv_ae, evt: too short", "conv_ae, fixed: names none"]


def test_figures_of_boxes_are_a_table_for_each_level():
    tao = {"evt": {"threshold": 0.4, "tao_region": {"f1": 0.15}}, "percentile": {"reason": "no boxes"}}
    streams = {
        "v/spatial": {"pixel": {"auroc": 0.8}, "region": {"rbdc": 0.4, "tbdc": 0.6}, "tao": tao},
        "v/temporal": {"pixel": {"auroc": 0.7}},
    }
    objects = {"frames": 1700, "videos": {"masks": 8}, "detectors": {"v": {"every": 5, "streams": streams}}}
    pixel, region, tao_table = object_tables(objects)
    assert pixel.title == "objects: pixel (pixels of all frames pooled, except per frame and per video)"
    assert pixel.alike == ["frames 1,700", "videos masks 8"]
    assert texts(pixel) == {"v/spatial": ["0.800"], "v/temporal": ["0.700"]}
    assert (head(region), texts(region)) == (["RBDC", "TBDC"], {"v/spatial": ["0.400", "0.600"]})
    assert texts(tao_table) == {
        "v/spatial, evt": ["0.400", "F1 0.150", NONE],
        "v/spatial, percentile": [NONE, NONE, "no boxes"],
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.61249, "0.612"),
        (-0.5, "-0.500"),
        (0.0, "0.000"),
        (0.00042, "4.2e-04"),
        (-0.00042, "-4.2e-04"),
        (213.44, "213.4"),
        (1234.5, "1,234.5"),
        (1, "1"),
        (12345, "12,345"),
        (True, "yes"),
        (math.inf, NONE),
    ],
)
def test_numbers_have_the_digits_that_they_need(value: float, text: str):
    assert number_text(value) == text


@pytest.mark.parametrize(
    ("key", "text"), [("auc_micro", "AUC micro"), ("pixel_auroc", "pixel AUROC"), ("aupro_0.3", "AUPRO 0.3"), ("", "")]
)
def test_keys_read_as_words_and_acronyms(key: str, text: str):
    assert heading(key) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (243, "4 min 03 s"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations_are_told_in_the_unit_that_fits(seconds: float, text: str):
    assert duration(seconds) == text


# --- CSV ------------------------------------------------------------------------------------------------------------


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_csv_of_any_columns_is_a_table(tmp_path: Path):
    text = 'name,kind,ap,n,note\n"a, b",alone,0.61239,12000,"<script>"\nc,sweep,,,1_000\n'
    table = csv_table(write(tmp_path / "a.csv", text), "ablate")
    assert head(table) == ["kind", "AP", "n", "note"]
    assert texts(table) == {"a, b": ["alone", "0.612", "12,000", "<script>"], "c": ["sweep", NONE, NONE, "1_000"]}
    assert text_columns(table) == {0, 3}


def test_a_csv_without_rows_is_an_empty_table(tmp_path: Path):
    assert csv_table(write(tmp_path / "a.csv", "name,ap\n"), "ablate").cells.empty


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no table"),
        ("name,ap\na,1,2\n", "row 2 has 3 fields, the header 2"),
        ("name,ap\na,1\nb\n", "row 3 has 1 fields"),
        (b"name,ap\n\xff,1\n", "can't decode byte 0xff in position 8"),
        ('name,ap\n"a,1\n', "unexpected end of data"),
    ],
)
def test_what_is_no_table_is_named_with_what_to_do(tmp_path: Path, content: str | bytes, message: str):
    with pytest.raises(DamagedArtifactError, match=rf"a\.csv is damaged .*{message}.*run `python src/ablate\.py`"):
        csv_table(write(tmp_path / "a.csv", content), "ablate")


def test_a_column_of_standard_errors_stands_below_its_figures(tmp_path: Path):
    text = "name,ap,ap_error,n,lone_error\na,0.5,0.125,3,0.25\nb,,0.1,4,\n"
    table = csv_table(write(tmp_path / "a.csv", text), "ablate")
    assert head(table) == ["AP", "n", "lone error"]
    assert with_small_print(table, 0) == [("0.500", "± 0.125"), ("3", ""), ("0.250", "")]
    assert table.cells.iloc[1, 0] == NONE
