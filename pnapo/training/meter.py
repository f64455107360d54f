"""What a training cost: seconds, CPU and GPU time, pairs, forward passes and peak memory (across resumes)."""

import resource
import sys
import time
from typing import Any

import torch


class Meter:
    """Adds to the cost of earlier sessions. Work lost to a kill after the last state is not counted."""

    def __init__(self, device: torch.device):
        self.device = device
        self.earlier = {"seconds": 0.0, "cpu_seconds": 0.0, "pairs_seen": 0, "forward_passes": 0}
        self.pairs = self.passes = 0
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def resume(self, earlier: dict[str, float]) -> None:
        """Go on from the running sums of earlier sessions."""
        self.earlier = earlier

    def count(self, pairs: int, passes: int) -> None:
        """Count pairs seen, and samples passed forward through the policy."""
        self.pairs += pairs
        self.passes += passes

    def totals(self) -> dict[str, float]:
        """The running sums, to be stored with the state."""
        return {
            "seconds": self.earlier["seconds"] + time.perf_counter() - self.wall,
            "cpu_seconds": self.earlier["cpu_seconds"] + time.process_time() - self.cpu,
            "pairs_seen": self.earlier["pairs_seen"] + self.pairs,
            "forward_passes": self.earlier["forward_passes"] + self.passes,
        }

    def report(self) -> dict[str, Any]:
        """The content of compute.json. Seconds are wall time; gpu_seconds are those of the one GPU."""
        totals = self.totals()
        gpu = self.device.type == "cuda"
        if gpu:
            peak = torch.cuda.max_memory_allocated(self.device) / 2**20
        else:
            unit = 1 if sys.platform == "darwin" else 1024
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
        return {**totals, "gpu_seconds": totals["seconds"] if gpu else 0.0, "peak_memory_mb": peak}
