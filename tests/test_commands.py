"""docs/commands.md, as it stands: every command of its story is run, and what the page says of the results is so."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pnapo import cli
from pnapo.artifacts import read_manifest
from pnapo.artifacts.images import decode_png

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "commands.md").read_text("utf-8")
COMMANDS = [shlex.split(line)[1:] for line in re.findall(r"^\$ (pnapo .*)$", PAGE, flags=re.M)]
PROMPTS, RUN = (re.search(rf"```{kind}\n(.*?)```", PAGE, flags=re.S)[1] for kind in ("text", "yaml"))
LOAD = re.search(r"```python\n(import torch.*?)```", PAGE, flags=re.S)[1]
README = (ROOT / "README.md").read_text("utf-8")


@pytest.fixture(scope="module")
def pnapo(tmp_path_factory):
    """pnapo(words) runs a command in a folder with the configuration and the prompts; returns that folder."""
    from accelerate.state import AcceleratorState

    folder = tmp_path_factory.mktemp("user")
    for name in ("config.yaml", "config", "assets"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "prompts.txt").write_text(PROMPTS)
    (folder / "mine.yaml").write_text(RUN)

    def run(words):
        before = Path.cwd(), dict(os.environ)
        try:
            os.chdir(folder)
            cli.main(words)
        finally:
            os.chdir(before[0])
            os.environ.clear()
            os.environ.update(before[1])
            AcceleratorState._reset_state(reset_partial_state=True)
        return folder

    return run


@pytest.fixture(scope="module")
def story(pnapo):
    """The folder after the whole page."""
    for words in COMMANDS:
        folder = pnapo([*words, "--device", "cpu"] if words[0] in ("generate", "score", "label", "train") else words)
    return folder


def images(folder, table):
    return [decode_png((folder / name).read_bytes()) for name in table["image"]]


def test_every_command_of_the_page_runs(story):
    assert {words[0] for words in COMMANDS} == {"generate", "score", "label", "train", "export", "import", "verify"}
    made, tuned = (pd.read_csv(story / name / "images.csv") for name in ("mine", "tuned"))
    assert list(made) == ["image", "prompt", "seed", "sample"] and len(made) == 12 and len(tuned) == 7
    assert set(made["seed"]) == {7} and len(set(tuned["prompt"])) == 7
    first = made[made["sample"] == 0]
    one, other = (np.stack(images(story / name, t)) for name, t in (("mine", first), ("tuned", tuned[:6])))
    assert (one != other).any() and np.abs(one.astype(int) - other).mean() < 64  # the same noises, another model
    assert not [path for path in story.rglob(".*") if path.is_dir()]  # no work folder is left


def test_scores_are_those_of_the_labels(story):
    scores, labels = pd.read_csv(story / "scores.csv"), pd.read_parquet(story / "mine" / "labels" / "hps.parquet")
    assert list(scores) == ["image", "prompt", "hps", "pickscore"]
    raw = labels[["score_0", "score_1"]].to_numpy().ravel()
    assert scores["hps"].to_numpy() == pytest.approx(100 * raw, rel=1e-6)


def test_an_exported_pair_set_trains_to_the_same_weights(story):
    """But for the name of the checkpoint, training on an export is training on the pair set."""
    one, other = (read_manifest(story / "runs" / name / "manifest.json") for name in ("mine", "shared"))
    assert one["settings"] == other["settings"]
    weights = "pytorch_lora_weights.safetensors"
    assert one["files"][weights] == other["files"][weights]
    assert one["settings"]["run"]["reward"] == "hps" and one["settings"]["run"]["steps"] == 20


def load(code, story, prompt="a red circle"):
    """Pixels of one image before and after `code` has put a LoRA on the pipeline, in a process of its own."""
    script = f"""
import numpy as np, torch
{code.replace("pipe.load_lora_weights", "before = draw(pipe); pipe.load_lora_weights")}
after = draw(pipe)
np.savez({str(story / "drawn.npz")!r}, before=before, after=after)
"""
    helper = f"""
def draw(pipe):
    pipe.set_progress_bar_config(disable=True)
    seed = torch.Generator().manual_seed(0)
    return pipe({prompt!r}, num_inference_steps=4, guidance_scale=1.0, height=32, width=32, generator=seed,
                output_type="np").images[0]
"""
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    done = subprocess.run(
        [sys.executable, "-c", helper + script], cwd=story, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    with np.load(story / "drawn.npz") as drawn:
        return dict(drawn)


def test_diffusers_loads_the_checkpoint_as_page_readme_and_card_say(story):
    readme = re.search(r"```python\n(import torch.*?)```", README, flags=re.S)[1]
    card = re.search(r"```python\n(import torch.*?)```", (story / "runs/mine/README.md").read_text("utf-8"), flags=re.S)
    assert readme.replace("results/runs/sd3/pnapo-s0", "runs/mine") == LOAD
    drawn = [load(code, story) for code in (LOAD, card[1].replace('"."', '"runs/mine"'))]
    for found in drawn:
        assert np.abs(found["before"] - found["after"]).max() > 1e-3
    assert np.abs(drawn[0]["after"] - drawn[1]["after"]).mean() < 0.02  # single against half precision


def test_a_finished_training_is_not_made_again(pnapo, story, capsys):
    manifest = story / "runs" / "mine" / "manifest.json"
    before = manifest.stat().st_mtime_ns
    words = ["train", "--pairs", "mine", "--labels", "hps", "--model", "sd3", "--device", "cpu", "--out", "runs/mine"]
    pnapo([*words, "--run", "mine.yaml"])
    assert "mine: is trained already" in capsys.readouterr().out and manifest.stat().st_mtime_ns == before
    with pytest.raises(SystemExit):
        pnapo([*words, "--run", "mine.yaml", "--seed", "1"])
    assert "runs/mine: holds a checkpoint of other settings or pairs; name another" in capsys.readouterr().err


TRAIN = "train --pairs mine --labels hps --run mine.yaml --model sd3 --out runs/x"
WRONG = [
    ("generate --model sd4 --prompts a --out x", "no model is called sd4; there is sd3, flux"),
    ("generate --model sd3 --prompts none.txt --out x", "none.txt: no such file"),
    ("generate --model sd3 --prompts a --out mine", "mine: holds images already"),
    ("generate --model sd3 --prompts a --images 1 --keep-noise --out x", "--keep-noise: a pair set has 2 images"),
    ("generate --model flux --policy runs/mine --prompts a --out x", "a checkpoint of another backbone"),
    ("score --reward hps --images mine --prompts prompts.txt", "prompts.txt: 6 prompts for 12 images"),
    ("score --reward hpz --images mine --prompts prompts.txt", "no reward is called hpz"),
    ("score --reward hps --images none --prompts prompts.txt", "none: no such file or folder"),
    ("label runs/mine --reward hps", "describes 'checkpoint', but 'pairs' is needed"),
    ("export pairs runs --out x", "no such file"),
    ("import pairs mine --out x", "mine: holds no exported pair set"),
    (TRAIN.replace("hps", "clip"), "labels clip: no such file, and no such reward in mine/labels (hps)"),
    (TRAIN.replace("--pairs mine", "--pairs nothing"), "nothing: no such file"),
    (TRAIN.replace("mine.yaml", "bad.yaml"), "bad.yaml: betta: unknown setting; did you mean beta?"),
    (TRAIN.replace("mine.yaml", "inverted.yaml"), "holds stored noises, but path inverted needs inverted ones"),
    (TRAIN.replace("mine.yaml", "nobody"), "no run is called nobody; there is sft, diffusion_dpo, pnapo"),
    (TRAIN.replace("sd3", "flux"), "use the pairs of this backbone"),
    (f"{TRAIN} --prompts one.txt", "one.txt: lacks 5 of the 6 prompts"),
    ("verify prompts.txt", "prompts.txt: not an artefact"),
]


@pytest.mark.parametrize(("words", "said"), WRONG, ids=[words[:60] for words, _ in WRONG])
def test_wrong_input_is_one_clear_line(pnapo, story, words, said, capsys):
    (story / "bad.yaml").write_text("betta: 3\n")
    (story / "inverted.yaml").write_text(f"{RUN.replace('stored', 'inverted')}")
    (story / "one.txt").write_text("a red circle\n")
    with pytest.raises(SystemExit) as stopped:
        pnapo(words.split())
    err = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert stopped.value.code == 1 and len(err) == 1 and said in err[0], err
    assert not (story / "runs" / "x" / "manifest.json").exists()
