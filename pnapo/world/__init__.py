"""The embedded world: captioned shapes, an exact detector and a known utility, with tiny weights in the real formats."""
