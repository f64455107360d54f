"""What changes nothing, and what changes results by rounding alone: the complete workflow, tiny, again and again.

It runs from nothing in one folder, then in another with another path, hash seed, locale, time zone, scheduler and number of
cores, interrupted once. A training and all before it run in plain processes. Copies of the finished folder then make again
what another number of shards, another batch size or two processes in training touch. Files are compared by SHA-256, all but
those that hold times, as `pnapo diff` leaves them out, and by `pnapo diff` itself; the hashes of the first run are written as
`sha256sum` writes them. That a change was in force is read in what the runs recorded. `--small` leaves the laboratory and
plain processes out.
"""

import argparse
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import yaml

from pnapo.artifacts import write_text
from pnapo.diff.runs import compare
from pnapo.diff.settings import recorded
from pnapo.diff.story import place
from pnapo.errors import UserError
from trust.project import Project
from trust.promise import RESULTS, Promise, record

CONFIG = Path(__file__).with_name("complete.yaml")
LABORATORY = ("tuning", "budget", "claims", "lab")  # left out of a quick try
HERE = {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0", "PNAPO_WARM": "1"}
THERE = {"LC_ALL": "C", "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "4711"}
CHECKPOINT = "runs/sd3/pnapo_both-s0"
TESTED = "images/sd3/base/heldout"
LABELS = "pairs/sd3/labels/hps.parquet"
WEIGHED = "pairs/sd3/labels/both.parquet"
# What a checkpoint hangs on, and itself.
BEFORE = ("prompts/", "embeddings/", "/samples/", "/images/", "/labels/", "reference/", "runs/")

# Bounds of rounding on one machine, ten times what was measured or more.
LATENT = 1e-4  # of latents, whose standard deviation is about 1
GREY, SHARE = 1, 0.01  # grey levels, of how many of the values
SCORE = 1e-5  # of raw scores, cosines
WEIGHT = 1e-3  # of what was trained: length of the difference over that of the way from where it began
LOSS = 1e-4  # of losses and of gradient norms, relative


def configuration(folder: Path, small: bool) -> Path:
    """The configuration of all projects."""
    config = yaml.safe_load(CONFIG.read_text("utf-8"))
    if small:
        config = {name: section for name, section in config.items() if name not in LABORATORY}
        config["runs"] = {name: {**run, "tune": False} for name, run in config["runs"].items() if run["seeds"] == [0]}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")
    return path


def parted(ours: Mapping[str, str], theirs: Mapping[str, str]) -> str:
    """Where two lists of hashes first part, in the order of the story; empty if they are the same."""
    for name in sorted(ours.keys() | theirs.keys(), key=place):
        if ours.get(name) != theirs.get(name):
            return f"{name} {'differs' if name in ours and name in theirs else 'is in one of them alone'}"
    return ""


def interrupted(project: Project, *arguments: str, after: float, **changed: str) -> None:
    """Run Snakemake, which is told to end when a share of the jobs is done, then once more to the end."""
    process, said = project.start(*arguments, **changed), project.folder / "screen.txt"
    while process.poll() is None:
        counts = re.findall(r"(\d+) of (\d+) steps", said.read_text("utf-8", "replace"))
        if counts and int(counts[-1][0]) >= after * int(counts[-1][1]):
            process.terminate()
            break
        time.sleep(0.2)
    if not process.wait():
        raise RuntimeError(f"{project.folder}: was not interrupted")
    project.run(*arguments, **changed)


def first(folder: Path, small: bool) -> tuple[Project, float]:
    """The project that all others are compared with, made from nothing, and what warm processes did of it (see `served`)."""
    here = Project(folder / "here", configuration(folder, small))
    here.run("--cores", "2", **HERE)
    return here, served(here)


def served(project: Project) -> float:
    """Seconds of CPU that the jobs of a project took which were forks of a warm process, as far as that is still there."""
    server, found = str(project.folder.resolve() / "pnapo" / "warm" / "server.py"), 0.0
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if server in process.cmdline():
                used = process.cpu_times()
                found += used.children_user + used.children_system
    return found


def twice(here: Project, folder: Path) -> Promise:
    """All of it again, elsewhere and interrupted."""
    there = Project(folder / "another place" / "with spaces", here.folder / "config.yaml")
    interrupted(there, "--cores", "1", "--scheduler", "greedy", after=0.4, **THERE)
    ours, theirs = here.hashes(), there.hashes()
    part, told = parted(ours, theirs), compare(here.folder / "results", there.folder / "results").first
    kinds = {"tables": "tables/", "labels": "/labels/", "noises and latents": "/samples/", "checkpoints": "runs/"}
    counts = ", ".join(f"{sum(part in name for name in ours)} of {kind}" for kind, part in kinds.items())
    said = f"`pnapo diff`: {f'they part in {told.name}' if told else 'equal'}"
    title = (
        "Two runs from nothing agree byte for byte, whatever the folder, order of jobs, cores, hash seed, locale and time "
        "zone, interrupted or not"
    )
    figure = f"{part or f'{len(ours)} files ({counts})'}; {said}"
    return Promise(title, figure, not part and not told and len(ours) > 100)


def again(here: Project, folder: Path, change: str, target: str) -> Project:
    """A copy in which a target is made again with a change of the configuration, as is what the change touches."""
    made = here.fork(folder)
    (made.folder / "results" / target).unlink()
    made.run("--cores", "2", "--config", change, "--", f"results/{target}", **HERE)
    return made


def plain(here: Project, folder: Path, warm: float) -> Promise:
    """The same from processes that start from nothing. `warm`: what warm processes did of the first."""
    project = Project(folder / "plain", here.folder / "config.yaml")
    project.run("--cores", "2", "--", f"results/{CHECKPOINT}/manifest.json", **{**HERE, "PNAPO_WARM": "0"})
    ours, theirs = here.hashes(), project.hashes()
    part = parted({name: ours.get(name, "") for name in theirs}, theirs)
    lacking = [kind for kind in BEFORE if not any(kind in name for name in theirs)]
    cold = served(project)
    figure = part or f"{len(theirs)} files up to a checkpoint{''.join(f', none of {kind}' for kind in lacking)}"
    figure += f"; jobs of {warm:.0f} s of CPU served warm, then of {cold:.0f} s"
    return Promise("The warm start changes nothing", figure, not part and not lacking and warm > 0 and not cold)


def shards(here: Project, folder: Path) -> Promise:
    """Three shards in place of two."""
    from pnapo.pairs.store import shard_manifests

    other = again(here, folder / "shards", "pairs={shards: 3}", f"{CHECKPOINT}/manifest.json")
    (noise, latent, images), theirs = tensors(here), tensors(other)
    numbers = [len(shard_manifests(pair_set(project))) for project in (here, other)]
    same = all(map(equal, (noise, latent, images), theirs)) and same_file(here, other, LABELS)
    same = same and same_file(here, other, f"{CHECKPOINT}/manifest.json")
    title = "The number and size of shards changes no noise, no latent, no image, no label and no checkpoint"
    told = f"{len(images)} images in {numbers[0]} and in {numbers[1]} shards: {'equal' if same else 'different'}"
    return Promise(title, told, same and numbers == [2, 3])


def batches(here: Project, folder: Path) -> list[Promise]:
    """Five images of pairs at once in place of sixteen, three of a test set in place of eight, seven scores in place of 64."""
    import numpy as np

    from pnapo.artifacts import read_manifest
    from pnapo.pairs.store import read_pairs_manifest

    other = again(here, folder / "batches", "pairs={batch: 5}", LABELS)
    (noise, latent, images), (noise_5, latent_5, images_5) = tensors(here), tensors(other)
    apart = np.abs(latent - latent_5).max()
    share, most = greys(images, images_5)
    sizes = [read_pairs_manifest(pair_set(project))["settings"]["batch"] for project in (here, other)]
    told = f"{sizes[0]} and {sizes[1]}: latents {apart:.1e} apart, {100 * share:.2g} % of grey levels by up to {most}"
    holds = sizes == [16, 5] and equal(noise, noise_5) and apart <= LATENT and most <= GREY and share <= SHARE
    tested = again(here, folder / "testing", "testsets={heldout: {batch: 3}}", f"{TESTED}/manifest.json")
    share, most = greys(*(decoded(project) for project in (here, tested)))
    sizes = [
        read_manifest(p.folder / "results" / TESTED / "manifest.json", "images")["settings"]["batch"]
        for p in (here, tested)
    ]
    told += f"; of a test set {sizes[0]} and {sizes[1]}: {100 * share:.2g} % by up to {most}"
    holds &= sizes == [16, 3] and most <= GREY and share <= SHARE
    title = f"Images made 16 at once or fewer differ by rounding: latents by {LATENT:g}, {100 * SHARE:g} % of values by {GREY}"
    scored = again(here, folder / "scoring", "rewards={hps: {batch: 7}}", LABELS)
    ours, theirs = labels(here), labels(scored)
    columns = ["score_0", "score_1"]
    by = float(np.abs(ours[columns].to_numpy() - theirs[columns].to_numpy()).max())
    flipped = int((ours["winner"] != theirs["winner"])[ours["gap"] > 2 * SCORE].sum())
    many = [scored_at_once(project) for project in (here, scored)]
    figure = f"{many[0]} and {many[1]}: {2 * len(ours)} scores at most {by:.1e} apart, {flipped} winners changed"
    score = f"Images scored 7 or 64 at once differ by rounding: by {SCORE:g}, and no winner of a larger gap changes"
    holds_too = many == [64, 7] and by <= SCORE and not flipped
    # Scores of another batch may well be the same bits, so it is other weights that part the labels.
    weighed = again(here, folder / "weighing", "preferences={both: {rewards: {hps: 50, aesthetic: 1}}}", WEIGHED)
    parts = {"pairs": other, "labels": weighed, "images": tested}
    # After the configuration, which is another on purpose.
    stages = [compare(here.folder / "results", project.folder / "results").stages[1:] for project in parts.values()]
    said = [next((stage.name for stage in found if stage.parts), "nowhere") for found in stages]
    where = Promise("`pnapo diff` names the stage where two runs first part", ", ".join(said), said == list(parts))
    return [Promise(title, told, bool(holds)), Promise(score, figure, holds_too), where]


def greys(ours, theirs) -> tuple[float, int]:
    """Of the grey levels of two arrays of images: the share that differs, and by how much at most."""
    import numpy as np

    levels = np.abs(ours.astype(int) - theirs)
    return float((levels > 0).mean()), int(levels.max())


def decoded(project: Project):
    """The test images of the base model, [N, H, W, 3]."""
    import numpy as np

    from pnapo.artifacts import read_table
    from pnapo.artifacts.images import decode_png

    table = read_table(project.folder / "results" / TESTED / "images.parquet").sort_values(["prompt_id", "sample"])
    return np.stack([decode_png(png) for png in table["image"]])


def scored_at_once(project: Project) -> int | None:
    """How many images were scored at once for the labels, as Snakemake recorded."""
    parameters = recorded(project.folder / "results").get(LABELS, {"parameters": []})["parameters"]
    return next((value["batch"] for value in parameters if isinstance(value, dict) and "batch" in value), None)


def processes(here: Project, folder: Path) -> list[Promise]:
    """Two processes train in place of one; two threads do."""
    steps, way = trained_otherwise(
        here, crew := here.fork(folder / "processes"), "--set-resources", "train:processes=2"
    )
    bounds = f"losses and gradients {LOSS:g}, the way {WEIGHT:g} apart"
    holds = steps <= LOSS and way <= WEIGHT
    counted = trained_by(here), trained_by(crew)
    one = Promise(
        f"Two processes train what one does, up to rounding: {bounds}",
        f"{counted[1]} processes: losses and gradients {steps:.1e} apart, the way {way:.1e}",
        holds and counted == (1, 2),
    )
    threaded = here.fork(folder / "threads")
    steps, way = trained_otherwise(here, threaded, "--set-threads", "train=2")
    figure = f"losses and gradients {steps:.1e} apart, the way {way:.1e}"
    told = "device: cpu, 2 threads" in log_of(threaded)
    return [one, Promise(f"So do two threads: {bounds}", figure, told and steps <= LOSS and way <= WEIGHT)]


def trained_otherwise(here: Project, other: Project, *options: str) -> tuple[float, float]:
    """Train the checkpoint again in a copy: how far losses and gradient norms, and the ways of the weights, lie apart."""
    import numpy as np
    import pandas as pd

    from pnapo.artifacts import read_tensors

    target, name = f"{CHECKPOINT}/manifest.json", "pytorch_lora_weights.safetensors"
    for file in (other.folder / "results" / CHECKPOINT).glob("*"):
        file.unlink()
    other.run("--cores", "2", *options, "--", f"results/{target}", **HERE)
    ours, theirs = (read_tensors(p.folder / "results" / CHECKPOINT / name) for p in (here, other))
    grown = sorted(key for key in ours if "lora_B" in key)  # an adapter's B begins at 0, so it is the way that was gone
    one, two = (np.concatenate([t[key].float().numpy().ravel() for key in grown]) for t in (ours, theirs))
    apart = float(np.linalg.norm(one - two) / np.linalg.norm(one))
    logs = [pd.read_json(p.folder / "results" / CHECKPOINT / "train_log.jsonl", lines=True) for p in (here, other)]
    ours, theirs = (log[["loss", "grad_norm"]].to_numpy() for log in logs)  # Adam hides a gradient of another length
    return float(np.abs(theirs / ours - 1).max()) if ours.shape == theirs.shape else np.inf, apart


def trained_by(project: Project) -> int:
    """How many processes made the checkpoint, as its log says."""
    crew = re.search(r"^(\d+) processes, each making ", log_of(project), re.MULTILINE)
    return int(crew[1]) if crew else 1


def log_of(project: Project) -> str:
    """The log of the checkpoint's training."""
    place = Path(CHECKPOINT).relative_to("runs")
    return (project.folder / "results" / "logs" / "train" / f"{place}.log").read_text("utf-8")


def pair_set(project: Project) -> Path:
    return project.folder / "results/pairs/sd3/manifest.json"


def tensors(project: Project) -> list:
    """Noise and latents [N, S, C, h, w] and images [N·S, H, W, 3] of a project's pairs."""
    import numpy as np

    from pnapo.pairs.images import images_of
    from pnapo.pairs.layout import images_name
    from pnapo.pairs.store import PairSet, shard_manifests

    manifest = pair_set(project)
    pairs, count = PairSet.open(manifest), len(shard_manifests(manifest))
    images = images_of(manifest, [manifest.parent / images_name(k, count) / "manifest.json" for k in range(count)])
    rows = range(len(pairs))
    return [pairs.noise(rows).numpy(), pairs.latent(rows).numpy(), np.stack(list(images))]


def labels(project: Project):
    from pnapo.artifacts import read_table

    return read_table(project.folder / "results" / LABELS)


def equal(ours, theirs) -> bool:
    return ours.shape == theirs.shape and ours.tobytes() == theirs.tobytes()


def same_file(ours: Project, theirs: Project, name: str) -> bool:
    return (ours.folder / "results" / name).read_bytes() == (theirs.folder / "results" / name).read_bytes()


def tried(step: Callable[..., Promise | list[Promise]], *arguments: Any) -> list[Promise]:
    """What a step promises; that it failed, if it did, so that the others still count."""
    try:
        found = step(*arguments)
    except (RuntimeError, UserError) as error:
        print(error, flush=True)
        return [Promise(str(step.__doc__).splitlines()[0], str(error).splitlines()[0], False)]
    return found if isinstance(found, list) else [found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a quick try, recorded in --folder")
    parser.add_argument(
        "--folder", type=Path, help="where all is made (default: a temporary folder, removed afterwards)"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (args.folder or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        kept = folder if args.small else RESULTS
        here, warm = first(folder, args.small)
        listed = kept / "determinism.sha256"
        write_text(listed, "".join(f"{digest}  {name}\n" for name, digest in here.hashes().items()))
        print(f"hashes: {listed}", flush=True)
        found = [] if args.small else tried(plain, here, folder, warm)
        found += [one for step in (twice, shards, batches, processes) for one in tried(step, here, folder)]
        record("determinism", found, kept)


if __name__ == "__main__":
    main()
