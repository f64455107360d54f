"""The processes of one training: who makes which forward passes, and how gradients and logged numbers come together.

A step has `accumulation` forward passes of `batch` pairs, however many processes there are: process r of n makes passes
r, r + n, … Every pass is the one that a single process would make, so only the order of the additions differs.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs, broadcast_object_list, gather_object

from pnapo.artifacts.workspace import workspace
from pnapo.errors import UserError

PATIENCE = timedelta(hours=2)  # while one process writes, say, a large checkpoint; one that fails ends all at once
BUCKET = 2**24  # numbers of a gradient that travel together


class Crew:
    """This process among those of a training (alone, if it was not launched as one of several).

    Raises UserError if the processes cannot share `accumulation` forward passes equally.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype, accumulation: int):
        self.accelerator = Accelerator(
            cpu=device.type == "cpu",
            mixed_precision="bf16" if dtype == torch.bfloat16 else "no",
            kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)],
        )
        self.rank, self.size = self.accelerator.process_index, self.accelerator.num_processes
        if accumulation % self.size:
            raise UserError(
                f"{self.size} processes cannot share {accumulation} forward passes a step: make `accumulation` a "
                f"multiple of {self.size} (and `batch` smaller), or train with fewer processes"
            )
        self.accelerator.gradient_accumulation_steps = accumulation // self.size
        self.passes = range(self.rank, accumulation, self.size)

    @property
    def first(self) -> bool:
        """Whether this process logs and writes files for all."""
        return self.rank == 0

    @contextmanager
    def workspace(self, out: Path) -> Iterator[Path]:
        """The work folder of the checkpoint folder `out` (`pnapo.artifacts.workspace`), the same for all processes."""
        if self.first:
            with workspace(out) as work:
                self.told(str(work))
                yield work
                self.accelerator.wait_for_everyone()
        else:
            yield Path(self.told(None))
            self.accelerator.wait_for_everyone()

    def told(self, value: Any) -> Any:
        """The first process's value."""
        return broadcast_object_list([value])[0] if self.size > 1 else value

    def all(self, value: Any) -> list[Any]:
        """Every process's value, in the order of their ranks."""
        return gather_object([value]) if self.size > 1 else [value]

    def highest(self, value: int) -> int:
        """The largest of all processes' values."""
        if self.size == 1:
            return value
        # One type in all processes: a bool's bytes among integers' end the exchange.
        found = torch.tensor(value, dtype=torch.int64, device=self.accelerator.device)
        torch.distributed.all_reduce(found, torch.distributed.ReduceOp.MAX)
        return int(found)

    def share(self, count: int) -> range:
        """This process's part of `count` things that follow one another; the parts of all cover them in order."""
        return range(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def require_same(self, value: Any, told: str) -> None:
        """Raise UserError, in every process, if `value` differs between them."""
        if len(set(self.all(value))) > 1:
            raise UserError(f"the processes do not see the same {told}; do all nodes share one file system?")

    def average(self, gradients: Iterable[torch.Tensor]) -> None:
        """Replace each process's gradients by their mean over the processes."""
        if self.size > 1:
            for bucket in _buckets(gradients):
                flat = torch.cat([gradient.flatten() for gradient in bucket])
                torch.distributed.all_reduce(flat)
                parts = (flat / self.size).split([gradient.numel() for gradient in bucket])
                for gradient, part in zip(bucket, parts):
                    gradient.copy_(part.view_as(gradient))

    def joined(self, passes: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        """The numbers [B] that each pass gave, by name, put one behind the other in the order of a step's passes."""
        found = {name: torch.stack([part[name] for part in passes]) for name in passes[0]}
        if self.size > 1:
            for name, values in found.items():
                everyone = self.accelerator.gather(values.contiguous())
                found[name] = everyone.view(self.size, *values.shape).transpose(0, 1)
        return {name: values.reshape(-1) for name, values in found.items()}


def _buckets(gradients: Iterable[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    bucket: list[torch.Tensor] = []
    for gradient in gradients:
        bucket.append(gradient)
        if sum(g.numel() for g in bucket) >= BUCKET:
            yield bucket
            bucket = []
    if bucket:
        yield bucket
