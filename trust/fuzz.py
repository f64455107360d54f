"""Bytes of all kinds for every reader of foreign files, guided by coverage (atheris, libFuzzer): `python -m trust.fuzz`.

A finding is anything but success or UserError, an input that takes more than 5 seconds, damage that was accepted, or an end of
the fuzzer itself. What is found belongs into tests/hostile/found/TARGET in base64 (`base64 FILE > NAME.b64`), as a test.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from trust.fuzzer import HANG, PACKAGES, SLOW, STUCK
from trust.promise import Promise, record, seeded

# The targets of trust/targets.py, each with what the bytes stand for.
NAMES = {"config": "a configuration", "prompts": "a prompt list", "manifest": "a manifest", "labels": "a label table"}
NAMES |= {"shard_manifest": "a shard's manifest", "shard": "a shard"}
NAMES |= {"export": "an exported pair set", "study": "a study's key or answers"}
PROMISED = "any bytes in the place of {} are taken, or refused in one line"
FEWEST = 50  # inputs for one target that have to be tried in every minute given to all
FOUND = ("crash", "timeout", "oom", "leak")  # how libFuzzer calls the files of what it found


def fuzzer(name: str, folder: Path, *options: str) -> list[str]:
    """The command of a process of its own for one target."""
    return [sys.executable, "-m", "trust.fuzzer", name, str(folder), *options]


def lacking() -> str:
    """Why the fuzzer cannot be started here; "" if it can."""
    code = f"import sys; sys.path.append({str(PACKAGES)!r}); import atheris"
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE)
    return done.stderr.decode("utf-8", "replace").strip().splitlines()[-1] if done.returncode else ""


def run(name: str, seconds: float, seed: int, folder: Path) -> tuple[int, list[str]]:
    """Inputs tried for one target within so many seconds, start included, and what was found, one line each."""
    end, tried, found, kept = time.time() + seconds, 0, {}, folder / "found"
    kept.mkdir(parents=True, exist_ok=True)
    while time.time() < end and len(found) < 10:
        command = fuzzer(name, folder, "--until", str(end), "--seed", str(seed))
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds + 300)
        except subprocess.TimeoutExpired as error:
            (kept / "fuzzer.log").write_bytes(error.stdout or b"")
            found[f"{name}: the fuzzer itself does not end"] = kept / "fuzzer.log"
            break
        said, seed = done.stdout.decode("utf-8", "replace"), seed + 1
        counted = re.search(r"stat::number_of_executed_units: *(\d+)", said)
        tried += int(counted[1]) if counted else 0
        made = sorted(path for path in folder.glob("*-*") if path.name.startswith(FOUND))
        if done.returncode and not made:
            (kept / "fuzzer.log").write_text(said, "utf-8")
            last = said.strip().splitlines()[-1:] or ["nothing"]
            found[f"{name}: the fuzzer ended with {done.returncode}: {last[0][:200]}"] = kept / "fuzzer.log"
            break
        slow = f"takes more than {SLOW} s" in said  # perhaps the machine was busy
        for path in made:
            reason = confirmed(name, path, folder)
            if not reason and not slow and not path.name.startswith("timeout"):
                (kept / f"{path.name}.log").write_text(said, "utf-8")
                reason = f"{name}: {path.name} fails after the inputs before it, though not alone"
            path.rename(kept / path.name)
            if reason:
                found.setdefault(reason, kept / path.name)
    return tried, [f"{reason}: {path}" for reason, path in found.items()]


def confirmed(name: str, path: Path, folder: Path) -> str:
    """What an input does alone, in a line; "" if it was slow only because the machine was busy."""
    again = folder / "again"
    shutil.rmtree(again, ignore_errors=True)
    again.mkdir()
    command = fuzzer(name, again, "--input", str(path))
    try:
        done = subprocess.run(command, capture_output=True, timeout=600 + 2 * STUCK)
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
    parser.add_argument("--target", choices=NAMES, help="this one only")


def main() -> None:
    args = seeded(__doc__.splitlines()[0], _options)
    names = [args.target] if args.target else list(NAMES)
    if reason := lacking():
        figure = f"the fuzzer, which `make trust` brings, is not here ({reason})"
        record("fuzz", [Promise(PROMISED.format(NAMES[name]), figure, None) for name in names], args.record_in)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as temporary:
        promises = []
        for name in names:
            folder = (args.folder or Path(temporary)).resolve() / name
            folder.mkdir(parents=True, exist_ok=True)
            tried, found = run(name, 60 * args.minutes / len(names), args.seed, folder)
            for line in found:
                print(f"  {line}", flush=True)
            figure = f"{tried:,} inputs from seed {args.seed} on, {len(found)} findings"
            promises.append(Promise(PROMISED.format(NAMES[name]), figure, not found and tried >= FEWEST * args.minutes))
            print(f"{name}: {figure}", flush=True)
        record("fuzz", promises, args.record_in)


if __name__ == "__main__":
    main()
