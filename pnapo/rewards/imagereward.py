"""ImageReward (THUDM/ImageReward, arXiv 2304.05977): BLIP reads the prompt together with the image, a head scores it.

Score: (head − 0.167) / 1.033, over the authors' training images about N(0, 1); tables print it as it is. Preprocessing:
bicubic resize of the shorter side and centre crop to 224, CLIP's mean and standard deviation; bert-base-uncased with BLIP's two
tokens, 35 tokens. The folder holds the official `ImageReward.pt`, a state dict, and `med_config.json`, the sizes of the text
encoder; the image encoder's are those of its weights.
"""

import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import transforms

from pnapo.artifacts import read_json
from pnapo.artifacts.pretrained import from_folder
from pnapo.config.schema import Reward
from pnapo.errors import UserError
from pnapo.rewards.base import NetworkScorer
from pnapo.rewards.blip import ImageEncoder, TextEncoder
from pnapo.rewards.files import guarded, load_into, read_state_dict
from pnapo.rewards.head import Head

TOKENS = 35
MEAN, STD = 0.16717362830052426, 1.0333394966054072  # of the head, over the authors' training images
PIXELS = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # CLIP's mean and deviation
# What scoring needs; the file holds BLIP's projections, too.
PARTS = ("blip.visual_encoder.", "blip.text_encoder.", "mlp.")


class Network(nn.Module):
    """BLIP's encoders and the head, with the official names of their weights."""

    def __init__(self, image: ImageEncoder, config: dict):
        super().__init__()
        text = TextEncoder(config, image.norm.normalized_shape[0])
        self.blip = nn.ModuleDict({"visual_encoder": image, "text_encoder": text})
        self.mlp = Head(config["hidden_size"])

    def forward(self, pixels: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
        """Raw scores [B] of pixels [B, 3, S, S] and token ids [B, N], mask 0 on padding."""
        words = self.blip["text_encoder"](tokens, mask, self.blip["visual_encoder"](pixels))
        return (self.mlp(words[:, 0])[:, 0] - MEAN) / STD


def read_network(folder: Path) -> tuple[Network, int]:
    """The network in a folder, and the size of its pictures.

    Raises UserError that names the file that is missing, damaged or of another model.
    """
    path, config = folder / "ImageReward.pt", read_json(folder / "med_config.json")
    if not isinstance(config, dict):
        raise UserError(f"{folder / 'med_config.json'}: holds no settings by name, so it is not BLIP's")
    if config.get("hidden_act", "gelu") != "gelu":
        raise UserError(
            f"{folder / 'med_config.json'}: hidden_act is {config['hidden_act']!r}, which BLIP does not have"
        )
    state = {name: x for name, x in read_state_dict(path).items() if name.startswith(PARTS)}
    state.pop("blip.text_encoder.embeddings.position_ids", None)  # 0, 1, 2, …
    visual = {name.removeprefix(PARTS[0]): x for name, x in state.items() if name.startswith(PARTS[0])}
    try:
        width, _, patch, _ = visual["patch_embed.proj.weight"].shape
        tokens, hidden = visual["pos_embed"].shape[1], visual["blocks.0.mlp.fc1.weight"].shape[0]
    except (KeyError, IndexError, ValueError):
        raise UserError(f"{path}: not ImageReward's weights; BLIP's image encoder is not in it") from None
    layers = len({name.split(".")[1] for name in visual if name.startswith("blocks.")})
    image = ImageEncoder(width, hidden, layers, patch, tokens)
    network = guarded(lambda: Network(image, config), str(folder / "med_config.json"))
    load_into(network, state, path)
    return network, patch * math.isqrt(tokens - 1)


class ImageReward(NetworkScorer):
    """Raw score: the standardised head."""

    display_scale = 1.0

    def __init__(self, reward: Reward, device: str):
        from transformers import BertTokenizer

        if not reward.tokenizer:
            raise UserError("rewards: kind imagereward needs `tokenizer`, the folder of bert-base-uncased's")
        network, size = read_network(Path(reward.model))
        self.network = network.float().eval().requires_grad_(False).to(device)
        self.tokenizer = from_folder(BertTokenizer, reward.tokenizer)
        self.tokenizer.add_tokens(["[DEC]", "[ENC]"], special_tokens=True)  # BLIP's
        known = network.blip["text_encoder"].embeddings["word_embeddings"].num_embeddings
        if len(self.tokenizer) != known:
            raise UserError(f"{reward.tokenizer}: has {len(self.tokenizer)} tokens, {reward.model} knows {known}")
        self.transform = transforms.Compose(
            [
                transforms.Resize(size, transforms.InterpolationMode.BICUBIC),
                transforms.CenterCrop(size),
                transforms.ToTensor(),
                transforms.Normalize(*PIXELS),
            ]
        )
        self.device, self.batch = device, reward.batch

    def texts(self, prompts: list[str]) -> Tensor:
        """Token ids and mask, [N, 2 · TOKENS]: the text is read together with the image, so it has no features of its own."""
        found = self.tokenizer(prompts, padding="max_length", truncation=True, max_length=TOKENS, return_tensors="pt")
        return torch.cat([found.input_ids, found.attention_mask], 1)

    def prepare(self, image: np.ndarray) -> Tensor:
        return self.transform(Image.fromarray(image))

    @torch.no_grad()
    def compare(self, pixels: Tensor, texts: Tensor) -> Tensor:
        tokens, mask = texts.to(self.device).chunk(2, dim=1)
        return self.network(pixels.to(self.device), tokens, mask).cpu()
