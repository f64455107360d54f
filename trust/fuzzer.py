"""One process of `trust.fuzz`: inputs for one target until the time is over or something is found; or one input alone.

Nothing of pnapo is imported before atheris watches imports: what is, guides it nowhere.
"""

import argparse
import ctypes
import os
import re
import sys
import time
from pathlib import Path

PACKAGES = Path(".cache/fuzz")  # where `make trust` puts atheris
SLOW = 5  # seconds of CPU that an input may take
STUCK = 60  # seconds after which it hangs
MEMORY = 4096  # MiB that all may hold
HANG = 70  # exit status
LEAST = 10  # seconds of trying, however long the start took


def fuzz(name: str, until: float, seed: int, folder: Path) -> None:
    """Try inputs for one target until then (seconds since the epoch). Never returns."""
    sys.path.append(str(PACKAGES))
    import atheris

    corpus, work = folder / "corpus", folder / "work"
    for needed in (corpus, work):
        needed.mkdir(parents=True, exist_ok=True)
    with atheris.instrument_imports(include=["pnapo"]):
        from trust import targets

        target, targets.FOLDER = targets.TARGETS[name], work
        seeds = target.seeds()
        for number, data in enumerate(seeds):
            target.accepts(data)  # imports what is imported late
            (corpus / f"seed-{number}").write_bytes(data)
    words = sorted({word for data in seeds for word in re.findall(rb"[A-Za-z_]{3,40}", data)})[:800]
    dictionary = folder / "words"
    dictionary.write_bytes(b"".join(b'"%s"\n' % word for word in words))
    os.fsync = lambda handle: None  # what is written here need not outlive the machine, and waiting tries nothing
    options = {"max_total_time": max(LEAST, int(until - time.time())), "seed": seed + 1, "timeout": STUCK}
    options |= {"print_final_stats": 1, "rss_limit_mb": MEMORY, "verbosity": 0, "max_len": 2 * max(map(len, seeds))}
    options |= {"artifact_prefix": f"{folder}/", "dict": dictionary}

    def one(data: bytes) -> None:
        before = time.process_time()
        target.accepts(data)
        if time.process_time() - before > SLOW:
            raise targets.Wrong(f"takes more than {SLOW} s")

    # libFuzzer ends by `exit`, in which threads of pyarrow or torch may wait for one another for ever.
    leave = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: os._exit(0))
    ctypes.CDLL(None).__cxa_atexit(leave, None, None)
    atheris.Setup([sys.argv[0], *(f"-{option}={value}" for option, value in options.items()), str(corpus)], one)
    atheris.Fuzz()


def once(name: str, path: Path, folder: Path) -> None:
    """One input for one target."""
    from trust import targets

    targets.FOLDER = folder
    target = targets.TARGETS[name]
    target.accepts(target.seeds()[0])
    before = time.process_time()
    target.accepts(path.read_bytes())
    if time.process_time() - before > SLOW:
        sys.exit(HANG)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("folder", type=Path, help="where files are written, and what is found")
    parser.add_argument("--seed", type=int, default=0)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--until", type=float, help="try inputs until then, in seconds since the epoch")
    what.add_argument("--input", type=Path, help="try this one")
    args = parser.parse_args()
    if args.input:
        once(args.target, args.input, args.folder)
    else:
        fuzz(args.target, args.until, args.seed, args.folder)


if __name__ == "__main__":
    main()
