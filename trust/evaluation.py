"""Evaluations that go wrong, on purpose: what only a whole workflow can show, and its report has to say.

A run hacks its reward (trust/evaluation.yaml), another follows the noise of pairs that were made with a guidance which its
training has not; of one that goes well, nothing may be said. Then the base model's images are made again at another resolution.
"""

import html
import json
import re
import shlex
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path

from pnapo.artifacts import read_record
from trust.project import Project
from trust.promise import Promise, arguments, record

CONFIG = Path(__file__).with_name("evaluation.yaml")
SIDE = 16  # pixels of the base model's images when they are made again; all others have 32
IMAGES = "results/images/sd3/base/heldout/manifest.json"
REPORT = "results/report.html"
LAST = "resolution_mismatch"
# What the report has to say of which run.
TROUBLES = {
    "reward_hacking": (
        "hacked",
        r"step \d+: aesthetic, which it was trained on, rose .* while utility fell .*: a sign of reward hacking",
    ),
    "guidance_mismatch": ("bent", r"follows the noise of pairs made with guidance 6, but is trained without"),
    LAST: ("bent", rf"images of 32 pixels are compared with the base model's of {SIDE}"),
}


def warnings(page: str) -> list[tuple[str, str]]:
    """The warnings of a report: of what they are, and their sentence."""
    found = re.search(r'<section id="warnings".*?</section>', page, re.DOTALL)
    items = re.findall(r"<li><strong>(.*?):</strong> (.*?)</li>", found[0] if found else "", re.DOTALL)
    return [(html.unescape(where), html.unescape(text)) for where, text in items]


def again(folder: Path, output: str, **changed: object) -> None:
    """Run the job that made an output once more with the command that Snakemake recorded, its model changed.

    Raises RuntimeError if it fails.
    """
    made = read_record(folder / "results" / "provenance.json")["outputs"][output]
    command = max(made.values(), key=lambda version: version["endtime"])["shellcmd"].partition(" > ")[0]
    argv = shlex.split(command)
    if changed:
        place = argv.index("--model") + 1
        argv[place] = json.dumps({**json.loads(argv[place]), **changed})
        for old in (folder / output).parent.iterdir():
            old.unlink()
    done = subprocess.run([sys.executable, *argv[1:]], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{output}: {done.stdout[-1000:]}{done.stderr[-1000:]}")


def judge(found: list[tuple[str, str]], wanted: list[str]) -> tuple[list[str], list[str]]:
    """Of the troubles that are wanted, those that are not said; and what is said of the run that goes well."""
    missed = []
    for name in wanted:
        run, pattern = TROUBLES[name]
        if not any(run in where and re.search(pattern, text) for where, text in found):
            missed.append(name)
    # Of one training seed, all runs are told; that is no trouble.
    false = [text for where, text in found if re.search(r"\bwell\b", where) and "one training seed" not in text]
    return missed, false


def main() -> None:
    def more(parser: ArgumentParser) -> None:
        parser.add_argument(
            "--folder", type=Path, help="a new folder to work in, and to keep (default: a temporary one)"
        )

    args = arguments(__doc__ or "", more)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (args.folder or Path(temporary)).resolve() / "project"
        project = Project(folder, CONFIG)
        project.run("--cores", "2")
        first = warnings((folder / REPORT).read_text("utf-8"))
        again(folder, IMAGES, resolution=SIDE)
        again(folder, REPORT)
        second = warnings((folder / REPORT).read_text("utf-8"))
    for where, text in {*first, *second}:
        print(f"{where}: {text}", flush=True)
    missed, false = judge(first, [name for name in TROUBLES if name != LAST])
    if not judge(first, [LAST])[0]:
        missed.append(f"{LAST} before it was caused")
    missed += judge(second, [LAST])[0]
    figure = f"{len(TROUBLES) - len(missed)} of {len(TROUBLES)} said ({', '.join(TROUBLES)})"
    figure += f"; {len(false)} of the run that goes well" + (f"; wrong: {', '.join(missed)}" if missed else "")
    title = "A reward that is hacked, and tests with another guidance or resolution, are said by the report"
    record("evaluation", [Promise(title, figure, not missed and not false)], args.record_in)


if __name__ == "__main__":
    main()
