"""What a configuration reads and no rule makes, and what is said of the part that is missing."""

from pathlib import Path

import pytest

from pnapo.config import load_config
from pnapo.needs import missing, needs, told

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def paper(tmp_path, monkeypatch):
    """paper(**changed): the paper's configuration, as seen from an empty folder."""

    def load(**changed):
        config = load_config(ROOT / "config.yaml", [ROOT / "config/paper.yaml"], changed)
        monkeypatch.chdir(tmp_path)
        return config

    return load


def test_the_embedded_world_needs_nothing_that_is_not_made():
    assert needs(load_config(ROOT / "config.yaml")) == []


def test_every_file_of_the_papers_experiment_is_brought_by_a_download_of_known_size(paper):
    config = paper(published=None)  # a file of the repository
    lines = told(config, missing(config), ["config/paper.yaml"])
    assert lines[0] == f"{len(lines) - 2} files and folders are missing:"
    assert all("no such" in line and line.endswith("B)") for line in lines[1:-1])
    assert "  models.flux.path: cache/models/FLUX.1-dev: no such folder (33.7 GB)" in lines
    assert (
        "  rewards.aesthetic.checkpoint: cache/models/aesthetic/sac+logos+ava1-l14-linearMSE.pth: no such file (3.7 MB)"
        in lines
    )
    command = "`snakemake --cores 1 --configfile config/paper.yaml -- fetch_diffusiondb "
    assert (
        lines[-1].startswith(command) and " fetch_hpdv2 " in lines[-1] and "GB), where there is a network" in lines[-1]
    )
    assert not any("detoxify" in line for line in lines)  # the scores of `prompt_nsfw` need no model
    again = paper(prompts={"safety": {"kind": "detoxify"}})
    assert "fetch_detoxify fetch_xlm_roberta" in told(again, missing(again))[-1]


def test_a_stage_needs_less(paper):
    config = paper()
    lists = sorted(need.setting for need in missing(config, ["testsets"]))
    assert lists == ["testsets.geneval.path", *["testsets.hpdv2.path"] * 4, "testsets.opdv1.path"]
    assert {need.setting for need in missing(config, ["prompts"])} == {
        "prompts.source.path",
        "prompts.semantic.pretrained",
    }
    assert missing(config, ["prompts", "pnapo"]) == missing(config)


def test_what_is_there_is_not_missing(paper, tmp_path):
    config = paper(backbones=["sd3"])
    settings = {need.setting for need in missing(config)}
    assert "models.sd3.path" in settings and "models.flux.path" not in settings
    folder = tmp_path / config.models["sd3"].path
    (folder / ".cache/huggingface/download/vae").mkdir(parents=True)
    (tmp_path / "cache/data/opdv1/data").mkdir(parents=True)
    (folder / ".cache/huggingface/download/vae/weights.incomplete").touch()
    problems = {need.setting: need.problem for need in missing(config)}
    assert problems["models.sd3.path"] == "its download has not ended"
    assert problems["testsets.opdv1.path"] == "holds no .parquet file"
    (folder / ".cache/huggingface/download/vae/weights.incomplete").unlink()
    (tmp_path / "cache/data/opdv1/data/cleaned-00000-of-00024.parquet").touch()
    assert settings - {need.setting for need in missing(config)} == {"models.sd3.path", "testsets.opdv1.path"}


def test_one_missing_file_is_one_line(paper):
    config = paper(published="numbers.csv")
    (need,) = [need for need in missing(config) if need.setting == "published"]
    assert told(config, [need]) == ["published: numbers.csv: no such file"]
    (model,) = [need for need in missing(config) if need.setting == "models.sd3.path"]
    assert told(config, [model]) == [
        "models.sd3.path: cache/models/stable-diffusion-3-medium-diffusers: no such folder (15.5 GB); "
        "`snakemake --cores 1 -- fetch_sd3` brings it, where there is a network"
    ]


def test_weights_are_told_from_names_that_libraries_know(paper):
    rewards = {"clip": {"weights": "laion2b_s32b_b79k"}, "hps": {"model": "hf-hub:laion/CLIP"}}
    settings = {need.setting for need in needs(paper(rewards=rewards))}
    assert "rewards.clip.weights" not in settings and "rewards.hps.model" not in settings
    assert {"rewards.hps.checkpoint", "rewards.pickscore.model", "rewards.aesthetic.weights"} <= settings


def test_the_model_of_an_external_reward_may_be_a_name(paper):
    program = {"kind": "external", "program": "envs/external/mine.py", "model": "owner/model"}
    found = {need.setting: need for need in needs(paper(rewards={"mine": program}))}
    assert "rewards.mine.model" not in found and found["rewards.mine.program"].problem == "no such file"
