"""Finished parts of an artefact that takes long to make: kept beside it until it is whole, so that a killed job goes on.

A part is a range of rows (samples, images) as safetensors, behind the SHA-256 of itself, of its place, and of all that the
artefact is made from. One that is damaged, or of other settings, weights, prompts, sources or package versions, does not fit
its hash: it is thrown away and made again.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pnapo
from pnapo.artifacts.files import atomic_path, sha256
from pnapo.artifacts.manifest import versions
from pnapo.artifacts.workspace import workspace
from pnapo.refusals import raise_refused
from pnapo.sources import closure

if TYPE_CHECKING:
    import torch

FILES = 256  # parts of an artefact at most, unless a part would be of more than MOST batches
MOST = 8
REPORT_EVERY = 8  # parts between two lines of progress
HASH = hashlib.sha256().digest_size

Tensors = Mapping[str, "torch.Tensor"]


def fingerprint(made_from: Any, source: str) -> str:
    """The SHA-256 of all that rows are made from: a value (as JSON), package versions, and the sources that `source` imports.

    `source` is the __file__ of the module that makes them.
    """
    root = Path(pnapo.__file__).parents[1]
    files = closure(str(Path(source).relative_to(root)), str(root))
    everything = [made_from, versions(), [(file, sha256(root / file)) for file in files]]
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()


class Parts:
    """The parts of one artefact, in a folder that no other process works in; `key` is its `fingerprint`."""

    def __init__(self, folder: Path, key: str, log: Callable[[str], None] = print):
        self._folder, self._key, self._log = folder, key, log
        self._start, self._thrown_away = time.monotonic(), False
        self.made = 0  # rows that this process has made

    @staticmethod
    def ranges(count: int, batch: int) -> Iterator[range]:
        """The rows of each part of `count` rows that are made in batches: some whole batches, or the last ones."""
        batches = -(-count // batch)
        size = batch * min(max(1, -(-batches // FILES)), MOST)
        for first in range(0, count, size):
            yield range(first, min(first + size, count))

    def _file(self, rows: range) -> Path:
        return self._folder / f"{rows.start:08d}-{rows.stop:08d}.part"

    def _hash(self, rows: range, content: bytes | memoryview) -> bytes:
        found = hashlib.sha256(f"{self._key} {rows.start} {rows.stop} ".encode())
        found.update(content)
        return found.digest()

    def read(self, rows: range) -> dict[str, "torch.Tensor"] | None:
        """A part as it was kept; None if there is none, or none of this artefact."""
        from safetensors.torch import load

        try:
            content = self._file(rows).read_bytes()
        except OSError as error:
            raise_refused(error, self._file(rows))
            return None
        if content[:HASH] != self._hash(rows, memoryview(content)[HASH:]):
            if not self._thrown_away:
                self._log(f"{self._folder}: holds parts that are damaged or were made from something else; not used")
            self._thrown_away = True
            self._file(rows).unlink(missing_ok=True)
            return None
        return load(content[HASH:])

    def keep(self, rows: range, tensors: Tensors) -> None:
        """Keep a part that has just been made."""
        from safetensors.torch import save

        content = save({name: value.detach().cpu().contiguous() for name, value in tensors.items()})
        with atomic_path(self._file(rows)) as temporary, open(temporary, "wb") as handle:
            handle.write(self._hash(rows, content))
            handle.write(content)
        self.made += len(rows)

    def take(self, rows: range, make: Callable[[range], Tensors]) -> Tensors:
        """A part as it was kept, or as `make(rows)` makes it now."""
        found = self.read(rows)
        if found is None:
            found = make(rows)
            self.keep(rows, found)
        return found

    def each(
        self, count: int, batch: int, make: Callable[[range], Tensors], told: str
    ) -> Iterator[tuple[range, Tensors]]:
        """The parts of `count` rows in order; the log is told now and then how far it is."""
        for number, rows in enumerate(self.ranges(count, batch)):
            yield rows, self.take(rows, make)
            self.tell(number, rows, count, told)

    def tell(self, number: int, rows: range, count: int, told: str) -> None:
        """Log how far it is, behind the words `told`, if part `number` is one of those after which this is done."""
        if self.made and (number % REPORT_EVERY == REPORT_EVERY - 1 or rows.stop == count):
            left = (time.monotonic() - self._start) / self.made * (count - rows.stop)
            self._log(f"{told} {rows.stop}/{count}, {left:.0f} s left")


@contextmanager
def parts_of(manifest: Path | str, made_from: Any, source: str, log: Callable[[str], None] = print) -> Iterator[Parts]:
    """The parts of the artefact of a manifest, in a hidden folder beside it that is removed when the block succeeds.

    For `made_from` and `source` see `fingerprint`.
    """
    with workspace(Path(manifest).with_suffix("")) as folder:
        yield Parts(folder, fingerprint(made_from, source), log)
