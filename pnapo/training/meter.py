"""What a training cost: seconds, CPU and GPU time, pairs, forward passes and peak memory, over processes and resumes."""

import resource
import sys
import time
from typing import Any

import torch

from pnapo.training.crew import Crew


class Meter:
    """Adds to the cost of earlier sessions. Work lost to a kill after the last state is not counted."""

    def __init__(self, device: torch.device, crew: Crew):
        self.device, self.crew = device, crew
        self.earlier = {"seconds": 0.0, "cpu_seconds": 0.0, "pairs_seen": 0, "forward_passes": 0}
        self.pairs = self.passes = 0
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def resume(self, earlier: dict[str, float]) -> None:
        """Go on from the running sums of earlier sessions."""
        self.earlier = earlier

    def count(self, pairs: int, passes: int) -> None:
        """Count pairs seen, and samples passed forward through the policy, by this process."""
        self.pairs += pairs
        self.passes += passes

    def totals(self) -> dict[str, float]:
        """The running sums of all processes, to be stored with the state; every process has to ask."""
        own = (time.process_time() - self.cpu, self.pairs, self.passes)
        cpu, pairs, passes = map(sum, zip(*self.crew.all(own)))
        return {
            "seconds": self.earlier["seconds"] + time.perf_counter() - self.wall,
            "cpu_seconds": self.earlier["cpu_seconds"] + cpu,
            "pairs_seen": self.earlier["pairs_seen"] + pairs,
            "forward_passes": self.earlier["forward_passes"] + passes,
        }

    def report(self) -> dict[str, Any]:
        """The content of compute.json: wall seconds, seconds times GPUs, and the memory of the largest process."""
        totals = self.totals()
        gpu = self.device.type == "cuda"
        if gpu:
            peak = torch.cuda.max_memory_allocated(self.device) / 2**20
        else:
            unit = 1 if sys.platform == "darwin" else 1024
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
        gpu_seconds = totals["seconds"] * self.crew.size if gpu else 0.0
        return {**totals, "gpu_seconds": gpu_seconds, "peak_memory_mb": max(self.crew.all(peak))}
