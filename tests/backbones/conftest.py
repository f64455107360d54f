"""Untrained tiny pipelines on disk, made by the world's own constructors."""

import pytest

from pnapo.config.schema import Model


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
