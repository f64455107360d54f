"""The commands of `pnapo`, a file each: `add` tells the parser of one, and whatever is heavy is imported when it is run."""
