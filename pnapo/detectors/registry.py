"""Detectors by name, imported only when they are asked for."""

from pnapo.config.schema import Metric
from pnapo.detectors import Detector
from pnapo.errors import UserError

DETECTORS = ("world", "mask2former")


def load_detector(metric: Metric, device: str = "cpu") -> Detector:
    """The detector of a metric of kind geneval.

    Raises UserError if there is none of its name, if its settings are missing, or if a file of it is missing or does not fit.
    """
    if metric.detector not in DETECTORS:
        raise UserError(f"no detector is called {metric.detector}; there is {', '.join(DETECTORS)}")
    if metric.detector == "world":
        from pnapo.world.detector import WorldDetector

        return WorldDetector()
    if metric.mask2former is None:
        raise UserError("metric geneval: detector mask2former has no settings; set `mask2former`")
    from pnapo.detectors.mask2former import Mask2Former

    floor = min(metric.rules.threshold, metric.rules.counting_threshold)
    return Mask2Former(metric.mask2former, floor, device)
