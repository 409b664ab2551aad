"""What parts of a fusion are worth, measured on pseudo-anomalies: no label is needed. Raw scores in, tables out."""
