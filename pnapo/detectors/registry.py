"""Detectors by name, imported only when they are asked for."""

import importlib

from pnapo.detectors import Detector

DETECTORS = {"world": "pnapo.world.detector:WorldDetector"}


def load_detector(name: str) -> Detector:
    """The detector of a name in `DETECTORS`."""
    module, attribute = DETECTORS[name].split(":")
    return getattr(importlib.import_module(module), attribute)()
