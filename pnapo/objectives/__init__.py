"""Method = path × loss × schedule: pure functions on tensors, one registry per axis.

`paths` says which noise each side of a pair is joined to, `losses` how the errors of winner and loser become one
number, `schedules` how large β is for a pair at a step. A new method is one function in one of these files, plus its
name in `pnapo.config.schema`. The registries `PATHS` and `LOSSES` can be read without torch.
"""
