# What jobs ask for.


def growing(amount):
    """A resource that a job has more of in each attempt: so much in the first, twice as much in the second, and so on.

    With `--retries`, what ran out of memory or time gets through. What a profile sets (slurm/config.yaml) stands instead.
    """
    return lambda wildcards, attempt: amount * attempt
