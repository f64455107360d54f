"""Rectified-flow maths: straight paths, times, Euler grids, and the random streams that feed them."""
