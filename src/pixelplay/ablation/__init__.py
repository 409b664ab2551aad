"""What parts of a fusion are worth, measured on anomalies planted in held-out normal footage: no label is needed.

`bench` gives a fusion's scores, `variants` says which fusions are compared, `measure` how well they do and how sure
that is, `search` chooses one, `tables` and `summary` say it, `plots` draws it. Raw scores in, tables out; no torch.
"""
