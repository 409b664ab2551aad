"""Pictures of an ablation: what is written in them lies in them."""

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg

from pixelplay.ablation.plots import draw_changes


def test_no_text_beside_a_long_stream_s_name_is_cut_off() -> None:
    names = ["configured fusion", "videomae_reconstruction/top for videomae_reconstruction"]
    table = pd.DataFrame({"auc_gain": [0.0, 0.1], "auc_gain_error": [0.0, 0.05]}, index=names)
    figure = draw_changes({"pooling": table}, "auc")
    FigureCanvasAgg(figure).draw()
    (axis,) = figure.axes
    for text in (axis.xaxis.label, *axis.get_yticklabels()):
        extent = text.get_window_extent()
        assert 0 <= extent.x0 < extent.x1 <= figure.bbox.x1, text.get_text()
