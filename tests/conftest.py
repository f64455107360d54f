"""What tests of several packages share: untrained tiny models on disk in the official formats, and the scripts."""

import runpy
from pathlib import Path

import pytest

from pnapo.config.schema import Model, Reward

SCRIPTS = Path(__file__).parents[1] / "workflow_scripts"


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Configuration sections of an untrained tiny SD3 and FLUX."""
    import torch

    from pnapo.world.bases import new_flux, new_sd3
    from pnapo.world.vae import new_vae

    torch.set_num_threads(1)
    torch.manual_seed(0)
    vae = new_vae()
    vae.register_to_config(scaling_factor=0.7, shift_factor=-0.05)
    found = {}
    for family, new in (("sd3", new_sd3), ("flux", new_flux)):
        folder = tmp_path_factory.mktemp(family)
        new(vae, 0).save_pretrained(folder)
        found[family] = Model(family=family, path=str(folder), resolution=32, max_sequence_length=20)
    return found


@pytest.fixture(scope="session")
def rewards(tmp_path_factory):
    """Configuration sections of the four rewards, untrained and tiny."""
    import torch
    from safetensors.torch import save_model

    from pnapo.rewards.aesthetic import new_head
    from pnapo.world.clip import new_open_clip, new_transformers_clip, write_open_clip_folder

    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("rewards")
    folders = {name: root / name for name in ("clip", "hps", "pickscore")}
    for seed, name in enumerate(("clip", "hps")):
        folders[name].mkdir()
        write_open_clip_folder(folders[name])
        network = new_open_clip(folders[name], seed)
        if name == "clip":
            save_model(network, str(folders[name] / "open_clip_model.safetensors"))
        else:
            torch.save({"state_dict": network.state_dict()}, root / "hps.pt")
    for part in new_transformers_clip(2):
        part.save_pretrained(folders["pickscore"])
    torch.manual_seed(3)
    torch.save(new_head(64).state_dict(), root / "aesthetic.pth")
    clip, hps = (f"local-dir:{folders[name]}" for name in ("clip", "hps"))
    return {
        "clip": Reward(kind="clip", model=clip),
        "hps": Reward(kind="hps", model=hps, checkpoint=str(root / "hps.pt")),
        "pickscore": Reward(kind="pickscore", model=str(folders["pickscore"])),
        "aesthetic": Reward(kind="aesthetic", model=clip, checkpoint=str(root / "aesthetic.pth")),
    }


@pytest.fixture
def script():
    """script(name, *arguments) runs a workflow script's main."""

    def run(name, *arguments):
        runpy.run_path(str(SCRIPTS / f"{name}.py"))["main"]([str(a) for a in arguments])

    return run
