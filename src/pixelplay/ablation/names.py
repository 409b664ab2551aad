"""The tables and pictures of an ablation: their files' names, and what they are called, in the order shown."""

TITLES = {
    "comparison": "What the search found, beside what else there is",
    "alone": "Each stream alone",
    "leave_one_out": "Without each of the members",
    "pooling": "Another stream of a detector",
    "normalise": "Every member normalised in another way",
    "smooth": "Every member smoothed in another way",
    "method": "Members put together in another way",
    "weights": "Weights",
    "kinds_ap": "AP by kind of planted anomaly",
    "kinds_auc": "AUC by kind of planted anomaly",
    "rank_correlation": "Do planted anomalies rank fusions as labels do?",
}
PICTURES = {
    "streams_alone": "Each stream alone",
    "one_choice_changed": "One choice changed at a time",
    "weights": "Weights: the line is the best that a share of the weight allows",
    "kinds_ap": "AP by kind of planted anomaly",
    "kinds_auc": "AUC by kind of planted anomaly",
    "planted_and_labelled": "Do planted anomalies rank fusions as labels do?",
}
CHANGES = ("leave_one_out", "pooling", "normalise", "smooth", "method")  # one choice changed at a time
WEIGHT = "weight "  # before a member's name: columns of the table `weights`
