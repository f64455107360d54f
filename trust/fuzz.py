"""Bytes of all kinds for every reader of foreign files, guided by coverage (atheris, libFuzzer): `python -m trust.fuzz`.

A finding is anything but success or UserError, an input that takes more than 5 seconds, or damage that was accepted. What is
found belongs into tests/hostile/found/TARGET, as a test.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from trust import targets
from trust.promise import Promise, record, seeded

PACKAGES = Path(".cache/fuzz")  # where `make trust` puts atheris
SLOW = 5  # seconds of CPU that an input may take
NAMES = {"config": "a configuration", "prompts": "a prompt list", "manifest": "a manifest", "labels": "a label table"}
NAMES |= {"shard_manifest": "a shard's manifest", "shard": "a shard"}
STUCK = 60  # seconds after which it hangs
HANG = 70  # exit status


def fuzz(name: str, seconds: int, seed: int, folder: Path) -> None:
    """In a process of its own: try inputs for one target until the time is over or something is found. Never returns."""
    sys.path.append(str(PACKAGES))
    import atheris

    target, targets.FOLDER = targets.TARGETS[name], folder / "work"
    corpus = folder / "corpus"
    for needed in (targets.FOLDER, corpus):
        needed.mkdir(parents=True, exist_ok=True)
    with atheris.instrument_imports(include=list(target.modules)):
        seeds = target.seeds()
        for number, data in enumerate(seeds):
            target.accepts(data)
            (corpus / f"seed-{number}").write_bytes(data)
    words = sorted({word for data in seeds for word in re.findall(rb"[A-Za-z_]{3,40}", data)})[:800]
    dictionary = folder / "words"
    dictionary.write_bytes(b"".join(b'"%s"\n' % word for word in words))
    options = {"max_total_time": seconds, "seed": seed + 1, "timeout": STUCK, "print_final_stats": 1, "rss_limit_mb": 0}
    options |= {
        "max_len": 2 * max(map(len, seeds)),
        "artifact_prefix": f"{folder}/",
        "dict": dictionary,
        "verbosity": 0,
    }
    arguments = [f"-{option}={value}" for option, value in options.items()]

    def one(data: bytes) -> None:
        before = time.process_time()
        target.accepts(data)
        if time.process_time() - before > SLOW:
            raise targets.Wrong(f"takes more than {SLOW} s")

    atheris.Setup([sys.argv[0], *arguments, str(corpus)], one)
    atheris.Fuzz()


def once(name: str, path: Path, folder: Path) -> None:
    """In a process of its own: one input for one target."""
    targets.FOLDER = folder
    target = targets.TARGETS[name]
    target.accepts(target.seeds()[0])
    before = time.process_time()
    target.accepts(path.read_bytes())
    if time.process_time() - before > SLOW:
        sys.exit(HANG)


def run(name: str, seconds: float, seed: int, folder: Path) -> tuple[int, Iterator[str]]:
    """Inputs tried for one target within so many seconds, and what was found, one line each."""
    end, tried, found = time.monotonic() + seconds, 0, {}
    while (left := int(end - time.monotonic())) > 0 and len(found) < 10:
        command = [sys.executable, "-m", "trust.fuzz", "--target", name, "--seconds", str(left)]
        done = subprocess.run(
            [*command, "--seed", str(seed), "--folder", str(folder)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        said, seed = done.stdout.decode("utf-8", "replace"), seed + 1
        counted = re.search(r"stat::number_of_executed_units: *(\d+)", said)
        tried += int(counted[1]) if counted else 0
        made = sorted(path for path in folder.glob("*-*") if path.name.startswith(("crash", "timeout", "oom", "leak")))
        if done.returncode and not made:
            raise RuntimeError(f"{name}: the fuzzer ended with {done.returncode}: {said[-2000:]}")
        for path in made:
            reason = confirmed(name, path, folder)
            kept = folder / "found"
            kept.mkdir(exist_ok=True)
            path.rename(kept / path.name)
            if reason:
                found.setdefault(reason, kept / path.name)
    return tried, [f"{reason}: {path}" for reason, path in found.items()]


def confirmed(name: str, path: Path, folder: Path) -> str:
    """What an input does alone, in a line; "" if it was slow only because the machine was busy."""
    again = folder / "again"
    shutil.rmtree(again, ignore_errors=True)
    again.mkdir()
    command = [sys.executable, "-m", "trust.fuzz", "--target", name, "--input", str(path), "--folder", str(again)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=120 + 2 * STUCK)
    except subprocess.TimeoutExpired:
        return f"{name}: hangs"
    if done.returncode == HANG:
        return f"{name}: takes more than {SLOW} s"
    if done.returncode < 0:
        return f"{name}: ended by signal {-done.returncode}"
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    where = next((line.strip() for line in reversed(lines) if line.startswith("  File ")), "")
    return f"{name}: {lines[-1][:200]} ({where})" if done.returncode else ""


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, default=10, help="in all (default: 10)")
    parser.add_argument("--folder", type=Path, help="where inputs are kept (default: a temporary folder)")
    parser.add_argument("--target", choices=targets.TARGETS, help="this one only")
    for hidden in ("--seconds", "--input"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)


def main() -> None:
    args = seeded(__doc__.splitlines()[0], _options)
    if args.seconds:
        fuzz(args.target, int(args.seconds), args.seed, args.folder)
    if args.input:
        once(args.target, Path(args.input), args.folder)
        return
    names = [args.target] if args.target else list(targets.TARGETS)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as temporary:
        promises = []
        for name in names:
            folder = (args.folder or Path(temporary)).resolve() / name
            folder.mkdir(parents=True, exist_ok=True)
            tried, found = run(name, 60 * args.minutes / len(names), args.seed, folder)
            for line in found:
                print(f"  {line}", flush=True)
            figure = f"{tried:,} inputs from seed {args.seed} on, {len(found)} findings"
            text = f"any bytes in the place of {NAMES[name]} are taken, or refused in one line"
            promises.append(Promise(text, figure, not found and tried > 0))
            print(f"{name}: {figure}", flush=True)
        record("fuzz", promises, args.record_in)


if __name__ == "__main__":
    main()
