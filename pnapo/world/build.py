"""Make the parts of the world, each a folder with a manifest, and ship the finished ones to assets/world."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from pnapo.artifacts import read_manifest, read_record, write_json, write_manifest, write_record
from pnapo.errors import UserError
from pnapo.world.recipe import SHIPPED

Log = Callable[[str], None]


def _vae(folder: Path, world: Path, settings: dict, log: Log) -> None:
    from pnapo.world.vae import train_vae

    train_vae(folder, **settings, log=log)


def _base(kind: str) -> Callable[[Path, Path, dict, Log], None]:
    def make(folder: Path, world: Path, settings: dict, log: Log) -> None:
        from pnapo.scripting import pick_device
        from pnapo.world.bases import train_base

        train_base(kind, world / "vae", folder, **settings, device=pick_device("auto"), log=log)

    return make


def _clip(folder: Path, world: Path, settings: dict, log: Log) -> None:
    from pnapo.artifacts import write_tensors
    from pnapo.world.clip import new_open_clip, train_contrastive, write_open_clip_folder

    write_open_clip_folder(folder)
    model = new_open_clip(folder, settings["seed"])
    train_contrastive(model, **settings, log=log)
    write_tensors(folder / "open_clip_model.safetensors", {k: v.half() for k, v in model.state_dict().items()})


def _pickclip(folder: Path, world: Path, settings: dict, log: Log) -> None:
    from pnapo.world.clip import new_transformers_clip, train_contrastive

    model, processor = new_transformers_clip(settings["seed"])
    train_contrastive(model, **settings, log=log)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def _detoxify(folder: Path, world: Path, settings: dict, log: Log) -> None:
    from pnapo.world.safety import train_safety

    train_safety(folder, **settings, log=log)


def _samples(kind: str) -> Callable[[Path, Path, dict, Log], None]:
    def make(folder: Path, world: Path, settings: dict, log: Log) -> None:
        from pnapo.backbones import load_backbone
        from pnapo.scripting import pick_device
        from pnapo.world.samples import make_samples, save_samples

        backbone = load_backbone(world_model(kind, world), {"transformer", "text", "vae"}, pick_device("auto"))
        common = {"steps": settings["steps"], "log": log}
        if settings["votes"]:
            votes = make_samples(backbone, settings["votes"], ("train", "validation"), seed=settings["seed"], **common)
            save_samples(folder / "votes.safetensors", votes)
        held = make_samples(backbone, settings["heldout"], ("test",), seed=settings["seed"] + 1, **common)
        save_samples(folder / "heldout.safetensors", held)

    return make


def _votes(world: Path):
    from pnapo.world.samples import load_samples

    return load_samples(*(world / f"samples_{kind}" / "votes.safetensors" for kind in ("sd3", "flux")))


def _hps(folder: Path, world: Path, settings: dict, log: Log) -> None:
    from pnapo.artifacts import read_tensors, write_checkpoint
    from pnapo.world.clip import new_open_clip, write_open_clip_folder
    from pnapo.world.preference import train_preference

    write_open_clip_folder(folder)
    model = new_open_clip(folder, settings["seed"])
    model.load_state_dict(read_tensors(world / "clip" / "open_clip_model.safetensors"))
    train_preference(model, _votes(world), **settings, log=log)
    halves = {name: value.half() for name, value in model.state_dict().items()}
    write_checkpoint(folder / "HPS_v2.1.pt", {"state_dict": halves})


def _pickscore(folder: Path, world: Path, settings: dict, log: Log) -> None:
    import torch
    from transformers import CLIPModel, CLIPProcessor

    from pnapo.world.preference import train_preference

    model = CLIPModel.from_pretrained(world / "pickclip", dtype=torch.float32)
    train_preference(model, _votes(world), **settings, log=log)
    model.half().save_pretrained(folder)
    CLIPProcessor.from_pretrained(world / "pickclip").save_pretrained(folder)


def _aesthetic(folder: Path, world: Path, settings: dict, log: Log) -> None:
    from pnapo.artifacts import read_tensors
    from pnapo.world.aesthetic import train_aesthetic
    from pnapo.world.clip import new_open_clip

    clip = new_open_clip(world / "clip", 0)
    clip.load_state_dict(read_tensors(world / "clip" / "open_clip_model.safetensors"))
    correlation = train_aesthetic(clip, _votes(world), folder / "linearMSE.pth", **settings)
    log(f"aesthetic: correlation with the true drawing quality {correlation:.3f}")


MAKERS: dict[str, Callable[[Path, Path, dict, Log], None]] = {
    "vae": _vae,
    "sd3": _base("sd3"),
    "flux": _base("flux"),
    "clip": _clip,
    "pickclip": _pickclip,
    "detoxify": _detoxify,
    "samples_sd3": _samples("sd3"),
    "samples_flux": _samples("flux"),
    "hps": _hps,
    "pickscore": _pickscore,
    "aesthetic": _aesthetic,
}


def world_model(kind: str, world: Path):
    """The configuration section of a base model of the world."""
    from pnapo.config.schema import Model
    from pnapo.world.text import T5_LENGTH

    return Model(family=kind, path=(world / kind).as_posix(), resolution=32, max_sequence_length=T5_LENGTH)


def make_part(part: str, world: Path, settings: dict, log: Log = print) -> None:
    """Make `world/part` from its settings and the parts it needs; its manifest is written last."""
    folder = world / part
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    start = time.process_time()
    MAKERS[part](folder, world, settings, log)
    finish_part(part, world, settings, time.process_time() - start)


def finish_part(part: str, world: Path, settings: dict, cpu_seconds: float) -> None:
    """Write the manifest of a part that has been made, and beside it what it cost."""
    folder = world / part
    _forget_origins(folder)
    write_record(folder / "cost.json", {"cpu_seconds": round(cpu_seconds)})
    names = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
    write_manifest(folder, f"world {part}", settings, [n for n in names if n not in ("manifest.json", "cost.json")])


def _forget_origins(folder: Path) -> None:
    """Take the folders that a model was loaded from in training out of its configurations."""
    for name in ("model_index.json", "config.json"):
        for path in folder.rglob(name):
            config = json.loads(path.read_text("utf-8"))
            if config.pop("_name_or_path", None) is not None:
                write_json(path, config)


def ship(world: Path, quality: dict, assets: Path) -> None:
    """Copy the finished parts to `assets` and write its manifest: settings, hashes, CPU time and measured quality.

    Raises UserError if a part is missing; nothing is copied then.
    """
    manifests = {part: read_manifest(world / part / "manifest.json", f"world {part}") for part in SHIPPED}
    parts = {}
    for part in sorted(p.parent.name for p in world.glob("*/manifest.json")):
        if part not in MAKERS:
            continue
        cost = read_record(world / part / "cost.json")
        parts[part] = {"settings": read_manifest(world / part / "manifest.json")["settings"], **cost}
    for part, manifest in manifests.items():
        target = assets / part
        if target.exists():
            shutil.rmtree(target)
        for name in [*manifest["files"], "manifest.json"]:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(world / part / name, target / name)
    files = [p.relative_to(assets).as_posix() for p in assets.rglob("*") if p.is_file() and p.parent != assets]
    size = sum((assets / name).stat().st_size for name in files)
    if size > 32 * 2**20:
        raise UserError(f"{assets}: {size / 2**20:.0f} MiB of weights; at most 32 may be shipped")
    total = sum(part["cpu_seconds"] for part in parts.values())
    write_manifest(assets, "world", {"parts": parts}, files, quality=quality, cpu_seconds=total)
