"""PNAPO: preference optimization of rectified-flow image models that keeps the prior noise (arXiv 2605.09433)."""

__version__ = "0.1.0"
