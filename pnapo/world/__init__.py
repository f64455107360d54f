"""The embedded world: captioned shapes, an exact detector, a known utility, and tiny weights in the real formats."""
