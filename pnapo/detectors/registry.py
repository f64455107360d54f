"""Detectors by name, imported only when they are asked for."""

import importlib

from pnapo.detectors import Detector
from pnapo.errors import UserError

DETECTORS = {"world": "pnapo.world.detector:WorldDetector"}


def load_detector(name: str) -> Detector:
    """The detector of a name in `DETECTORS`. Raises UserError if there is none of that name."""
    if name not in DETECTORS:
        raise UserError(f"no detector is called {name}; there is {', '.join(DETECTORS)}")
    module, attribute = DETECTORS[name].split(":")
    return getattr(importlib.import_module(module), attribute)()
