"""open_clip models as rewards use them: unit embeddings of images and texts."""

import logging

import numpy as np
import torch
from PIL import Image

from pnapo.errors import UserError
from pnapo.rewards.files import guarded, load_into, read_state_dict


def quick_gelu(model: str, weights: str | None) -> bool:
    """Whether a pretrained tag was trained with QuickGELU, as OpenAI's were.

    open_clip only warns where the architecture of that name has the other activation, and then gives wrong embeddings.
    A file of weights says nothing about it: there the name must (`ViT-L-14-quickgelu`).
    """
    from open_clip.pretrained import get_pretrained_cfg

    return bool(weights) and bool(get_pretrained_cfg(model, weights).get("quick_gelu"))


class OpenCLIP:
    """An open_clip model with its own tokenizer and image transform.

    `model` is a name open_clip knows ("ViT-H-14") or `local-dir:FOLDER`; `weights` a file of weights, a pretrained tag,
    or None for the weights in the folder. With `state` the weights come from that file's state dict instead.
    """

    def __init__(self, model: str, weights: str | None = None, state: str | None = None, device: str = "cpu"):
        import open_clip

        if state is None and weights is None and not model.startswith("local-dir:"):
            raise UserError(f"open_clip model {model}: no weights are named; set `weights` to a tag or a file")
        if weights is not None and model.startswith("local-dir:"):
            raise UserError(f"open_clip model {model}: uses the weights in its folder; leave out the weights {weights}")
        network, transform = guarded(
            lambda: (
                open_clip.create_model_from_pretrained(
                    model, pretrained=weights, force_quick_gelu=quick_gelu(model, weights)
                )
                if state is None
                else _untrained(open_clip, model)
            ),
            f"open_clip model {model}",
        )
        if state is not None:
            load_into(network, read_state_dict(state), state)
        self.network = network.float().eval().requires_grad_(False).to(device)
        self.transform = transform
        self.tokenizer = guarded(lambda: _tokenizer(open_clip, model), f"tokenizer of {model}")
        self.device = device
        size = network.visual.image_size
        self.image_size = size[0] if isinstance(size, (tuple, list)) else size

    @torch.no_grad()
    def texts(self, prompts: list[str], batch: int = 16) -> torch.Tensor:
        """Unit text embeddings, float32 [N, D] on the CPU; every batch is filled up, so that none hangs on its neighbours."""
        parts = []
        for start in range(0, len(prompts), batch):
            chunk = prompts[start : start + batch]
            tokens = self.tokenizer(chunk + [""] * (batch - len(chunk))).to(self.device)
            parts.append(self.network.encode_text(tokens, normalize=True)[: len(chunk)].float().cpu())
        return torch.cat(parts)

    @torch.no_grad()
    def pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        """Unit image embeddings [B, D] of preprocessed pixels [B, 3, S, S]."""
        return self.network.encode_image(pixels.to(self.device), normalize=True).float().cpu()

    def prepare(self, image: np.ndarray) -> torch.Tensor:
        """The network's pixels [3, S, S] of a uint8 image [H, W, 3], through the model's own transform."""
        return self.transform(Image.fromarray(image))


def _tokenizer(open_clip, model: str):
    """The model's tokenizer. A folder's settings for it may ask that its own code be run; that is never granted."""
    config = open_clip.get_model_config(model) or {}
    if config.get("text_cfg", {}).get("hf_tokenizer_name"):
        return open_clip.get_tokenizer(model, trust_remote_code=False)
    return open_clip.get_tokenizer(model)


def _untrained(open_clip, model: str):
    """The architecture without weights, and its image transform."""
    logging.disable(logging.WARNING)  # weights follow, so open_clip's warning that there are none would mislead
    try:
        network, _, transform = open_clip.create_model_and_transforms(model, load_weights=False)
    finally:
        logging.disable(logging.NOTSET)
    return network, transform
