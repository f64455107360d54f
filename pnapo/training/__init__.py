"""Training of one run: `train` turns a backbone and preference pairs into a checkpoint folder."""

from pnapo.training.loop import train

__all__ = ["train"]
