"""Tables: what the scores say, with intervals, as CSV (the data), Markdown and LaTeX (the same, for people).

`scores` reads the score files, `statistics` measures uncertainty, `main`, `geneval` and `compute` make one table each,
and `write` writes any of them. Nothing here needs torch.
"""
