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
        self.tokenizer = guarded(lambda: open_clip.get_tokenizer(model), f"tokenizer of {model}")
        self.device = device
        size = network.visual.image_size
        self.image_size = size[0] if isinstance(size, (tuple, list)) else size

    @torch.no_grad()
    def texts(self, prompts: list[str], batch: int = 256) -> torch.Tensor:
        """Unit text embeddings, float32 [N, D] on the CPU."""
        parts = []
        for start in range(0, len(prompts), batch):
            tokens = self.tokenizer(prompts[start : start + batch]).to(self.device)
            parts.append(self.network.encode_text(tokens, normalize=True).float().cpu())
        return torch.cat(parts)

    @torch.no_grad()
    def pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        """Unit image embeddings [B, D] of preprocessed pixels [B, 3, S, S]."""
        return self.network.encode_image(pixels.to(self.device), normalize=True).float().cpu()

    def images(self, images: list[np.ndarray], batch: int) -> torch.Tensor:
        """Unit image embeddings [N, D] of uint8 images, through the model's own transform."""
        parts = []
        for start in range(0, len(images), batch):
            chunk = [self.transform(Image.fromarray(image)) for image in images[start : start + batch]]
            parts.append(self.pixels(torch.stack(chunk)))
        return torch.cat(parts)

    def rows(self, prompts: list[str]) -> torch.Tensor:
        """Unit text embeddings [N, D], each distinct prompt embedded once."""
        distinct = list(dict.fromkeys(prompts))
        where = {prompt: row for row, prompt in enumerate(distinct)}
        return self.texts(distinct)[[where[prompt] for prompt in prompts]]


def _untrained(open_clip, model: str):
    """The architecture without weights, and its image transform."""
    logging.disable(logging.WARNING)  # weights follow, so open_clip's warning that there are none would mislead
    try:
        network, _, transform = open_clip.create_model_and_transforms(model, load_weights=False)
    finally:
        logging.disable(logging.NOTSET)
    return network, transform
