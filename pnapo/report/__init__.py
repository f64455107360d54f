"""The report: one self-contained HTML page, and its figures as files.

`collect` reads the results, `checks` looks for what a reader must be warned of, `images` picks and draws image grids,
`figures` draws plots (the only module that imports matplotlib), `sections` arranges them for `page`, which renders the
template. Nothing here needs torch.
"""
