"""No file makes this program run code: pickles in every place where weights are read, and what libraries read for us."""

import ast
import json
import os
import pickle
import runpy
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from pnapo.backbones import load_backbone
from pnapo.config import load_config
from pnapo.errors import UserError
from pnapo.prompts.safety import load_detoxify
from pnapo.rewards import load_reward
from pnapo.training.state import load_state

ROOT = Path(__file__).parents[2]
CONFIG = load_config(ROOT / "config.yaml")


class Trap:
    """Makes a folder of the name that it was given, when it is unpickled."""

    def __init__(self, made: Path):
        self.made = made

    def __reduce__(self):
        return os.mkdir, (str(self.made),)


@pytest.fixture
def trap(tmp_path: Path) -> Iterator[Callable[[Path, bool], None]]:
    """Writes a file that would run code, as torch writes it or as a bare pickle; nothing may have come of it in the end."""
    made = tmp_path / "code has run"

    def write(path: Path, bare: bool) -> None:
        value = {"state_dict": Trap(made), "config": {}}
        path.write_bytes(pickle.dumps(value)) if bare else torch.save(value, path)

    write(tmp_path / "proof.pt", False)
    torch.load(tmp_path / "proof.pt", weights_only=False)
    made.rmdir()  # raises if the trap does not work
    yield write
    assert not made.exists()


def reward(name: str, **changed: str) -> Callable[[], object]:
    return lambda: load_reward(CONFIG.rewards[name].model_copy(update=changed))


def copied(source: Path, target: Path, weights: str, instead: str) -> Path:
    """A copy of a model's folder, with another file of weights in it; returns that file."""
    shutil.copytree(source, target)
    (target / weights).unlink()
    return target / instead


@pytest.mark.parametrize("bare", [False, True], ids=["zip", "pickle"])
def test_no_file_of_weights_runs_code(trap, tmp_path: Path, bare: bool) -> None:
    world, folder, file = ROOT / "assets/world", tmp_path / "folder", tmp_path / "weights.pt"
    trap(file, bare)
    safety = CONFIG.prompts.safety
    detoxify = {"checkpoint": str(file), "config_path": str(ROOT / safety.config_path)}
    clip = copied(world / "clip", folder / "clip", "open_clip_model.safetensors", "open_clip_pytorch_model.bin")
    pick = copied(world / "pickscore", folder / "pick", "model.safetensors", "pytorch_model.bin")
    weights = "diffusion_pytorch_model.safetensors"
    vae = copied(world / "sd3", folder / "sd3", f"vae/{weights}", "vae/diffusion_pytorch_model.bin")
    text = vae.parents[1] / "text_encoder" / "pytorch_model.bin"
    (text.parent / "model.safetensors").unlink()
    for path in (clip, pick, vae, text):
        trap(path, bare)
    blip = folder / "blip"
    blip.mkdir()
    trap(blip / "ImageReward.pt", bare)
    (blip / "med_config.json").write_text("{}")
    sd3 = CONFIG.models["sd3"].model_copy(update={"path": str(vae.parents[1])})
    loaders = {
        "detoxify": lambda: load_detoxify(safety.model_copy(update=detoxify), "cpu"),
        "hps": reward("hps", checkpoint=str(file)),
        "aesthetic": reward("aesthetic", checkpoint=str(file)),
        "imagereward": reward("hps", kind="imagereward", model=str(blip), tokenizer=str(world / "detoxify")),
        "open_clip folder": reward("clip", model=f"local-dir:{clip.parent}"),
        "open_clip file": reward("clip", model="ViT-S-32-alt", weights=str(file)),
        "pickscore": reward("pickscore", model=str(pick.parent)),
        "vae": lambda: load_backbone(sd3, {"vae"}),
        "text encoder": lambda: load_backbone(sd3, {"text"}),
    }
    for name, load in loaders.items():
        with pytest.raises(UserError) as found:
            load()
        assert "\n" not in str(found.value), name
    lines: list[str] = []
    assert load_state(file, "x", lines.append) is None and len(lines) == 1


def test_parts_of_a_split_state_run_no_code(trap, tmp_path: Path) -> None:
    import torch.distributed.checkpoint as checkpoint

    from pnapo.training.plain_parts import PlainPlanner, PlainReader

    def load(state: dict) -> None:
        checkpoint.load(state, storage_reader=PlainReader(str(tmp_path / "parts")), planner=PlainPlanner())

    value = {"weights": torch.arange(6.0), "lr": 0.5, "betas": (0.9, 0.99)}
    checkpoint.save(value, checkpoint_id=str(tmp_path / "parts"))
    found = {"weights": torch.zeros(6), "lr": 0.0, "betas": (0.0, 0.0)}
    load(found)
    assert found["weights"].equal(value["weights"]) and (found["lr"], found["betas"]) == (0.5, (0.9, 0.99))
    trap(tmp_path / "parts" / ".metadata", True)
    with pytest.raises(checkpoint.CheckpointException, match=r"posix\.mkdir"):
        load(found)


def test_a_pipeline_names_no_module_to_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "model"
    shutil.copytree(ROOT / "assets/world/sd3", model)
    (model / "evil.py").write_text("raise SystemExit('code has run')")
    index = (model / "model_index.json").read_text("utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for named in ('["model.evil", "AutoencoderKL"]', '["diffusers", "utils"]', '["diffusers", 3]', "3"):
        changed = index.replace('[\n    "diffusers",\n    "AutoencoderKL"\n  ]', named)
        assert changed != index
        (model / "model_index.json").write_text(changed, "utf-8")
        with pytest.raises(UserError, match="vae"):
            load_backbone(CONFIG.models["sd3"].model_copy(update={"path": str(model)}), {"vae"})


def merge(path: Path, content: dict) -> None:
    """Add to a JSON file, one level deep into what is there."""
    found = json.loads(path.read_text("utf-8")) if path.exists() else {}
    for name, value in content.items():
        found[name] = {**found.get(name, {}), **value} if isinstance(value, dict) else value
    path.write_text(json.dumps(found), "utf-8")


OWN = {"auto_map": {"AutoTokenizer": ["own.Own", None]}}
ASKING = {  # how a folder asks for its own code: the files that say so, and whether it can be loaded without
    "settings": ("clip", {"tokenizer_config.json": OWN}, {"tokenizer_kwargs": {"trust_remote_code": True}}, True),
    "tokenizer": ("clip", {"tokenizer_config.json": OWN | {"tokenizer_class": "Own"}}, {}, False),
    "processor": ("pickscore", {"tokenizer_config.json": OWN | {"tokenizer_class": "Own"}}, None, True),
    "text model": (
        "clip",
        {"config.json": {"model_type": "own", "auto_map": {"AutoConfig": "own.Own"}}},
        {"hf_model_name": "folder"},
        False,
    ),
}


@pytest.mark.parametrize("case", ASKING)
def test_no_code_beside_weights_runs_nor_does_a_folder_ask(case: str, tmp_path: Path, monkeypatch) -> None:
    name, files, settings, loads = ASKING[case]
    folder, made = tmp_path / "folder", tmp_path / "code has run"
    shutil.copytree(ROOT / "assets/world" / name, folder)
    (folder / "own.py").write_text(f"import os\nos.mkdir({str(made)!r})\nclass Own: pass\n")
    for file, content in files.items():
        merge(folder / file, content)
    if settings is not None:
        own = json.loads((folder / "open_clip_config.json").read_text("utf-8"))["model_cfg"]["text_cfg"]
        merge(folder / "open_clip_config.json", {"model_cfg": {"text_cfg": own | settings}})
    asked: list[str] = []
    monkeypatch.setattr("builtins.input", lambda question="": asked.append(question) or "y")
    monkeypatch.chdir(tmp_path)
    try:
        reward(name, model=f"local-dir:{folder}" if name == "clip" else str(folder))()
        assert loads
    except UserError as error:
        assert not loads and "asks to run code of its own, which is never done" in str(error)
    assert (asked, made.exists()) == ([], False)


@pytest.mark.parametrize(
    "named", [["diffusers", "DiffusionPipeline"], ["diffusers", "AutoModel"], ["transformers", "AutoModel"]]
)
def test_a_part_of_a_pipeline_brings_no_code(named: list[str], tmp_path: Path) -> None:
    model, made = tmp_path / "model", tmp_path / "code has run"
    shutil.copytree(ROOT / "assets/world/sd3", model)
    merge(model / "model_index.json", {"vae": named})
    (model / "vae" / "own.py").write_text(f"import os\nos.mkdir({str(made)!r})\n")
    merge(model / "vae" / "model_index.json", {"_class_name": ["own", "Own"]})
    with pytest.raises(UserError, match=rf"its vae is {'.'.join(named)}, no model or tokenizer of"):
        load_backbone(CONFIG.models["sd3"].model_copy(update={"path": str(model)}), {"vae"})
    assert not made.exists()


def test_the_converter_loads_no_program(tmp_path: Path) -> None:
    torch.jit.script(torch.nn.Linear(1, 1)).save(str(tmp_path / "a.pt"))
    convert = runpy.run_path(str(ROOT / "envs/external/convert.py"))["convert"]
    with pytest.raises(ValueError, match="TorchScript"):
        convert(str(tmp_path / "a.pt"), str(tmp_path / "a.safetensors"))


FORBIDDEN = {
    *(
        "pickle.load",
        "pickle.loads",
        "torch.jit.load",
        "joblib.load",
        "pd.read_pickle",
        "pandas.read_pickle",
        "eval",
        "exec",
    ),
    *("os.system", "shutil.unpack_archive", "tarfile.open", "yaml.unsafe_load", "yaml.full_load"),
}


def dangers(source: str) -> list[str]:
    """Calls in a source that run what they read, or unpack archives."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name, given = ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}
            bad = (
                name in FORBIDDEN or given.get("shell") == "True" or given.get("trust_remote_code", "False") != "False"
            )
            bad |= name.endswith((".extract", ".extractall"))  # of an archive; to read a checksum is no harm
            bad |= name.endswith("torch.load") and given.get("weights_only") != "True"
            bad |= name == "yaml.load" and ast.unparse(node.args[1]) != "_Loader"
            bad |= name.endswith("np.load") and given.get("allow_pickle", "False") != "False"
            found += [ast.unparse(node)] if bad else []
    return found


def test_no_source_runs_what_it_reads() -> None:
    bad = [
        "torch.load(p)",
        "torch.load(p, weights_only=False)",
        "eval(x)",
        "zipfile.ZipFile(p).extractall(folder)",
        "yaml.load(f, yaml.Loader)",
        "run(c, shell=True)",
        "AutoModel.from_pretrained(p, trust_remote_code=trusted)",
    ]
    assert all(dangers(source) for source in bad)
    sources = [*(ROOT / "pnapo").rglob("*.py"), *(ROOT / "workflow_scripts").glob("*.py")]
    assert len(sources) > 100
    assert {str(path): found for path in sources if (found := dangers(path.read_text("utf-8")))} == {}


def test_the_papers_pickles_are_pinned() -> None:
    paper = load_config(ROOT / "config.yaml", [ROOT / "config/paper.yaml"])
    for name, download in paper.downloads.items():
        files = [download.path] if download.url else download.files
        pickles = [file for file in files if file.endswith((".bin", ".ckpt", ".pt", ".pth"))]
        pinned = [download.sha256] if isinstance(download.sha256, str) else list((download.sha256 or {}).values())
        commit = len(download.revision) == 40
        assert not pickles or commit or len(pinned) == len(pickles), f"downloads.{name}"
