"""BLIP (arXiv 2201.12086) as ImageReward uses it: a BERT whose layers look at the patches of an image, too.

Its weights are named as in the official file, so that this loads whole and needs no table of names:
`visual_encoder.blocks.0.attn.qkv.weight`, `text_encoder.encoder.layer.0.crossattention.self.key.weight`, …
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEAD_WIDTH = 64  # of the image encoder's attention, in both of BLIP's sizes
HIDDEN = -10000.0  # what is added to the logits of padding, BERT's


def _split(x: Tensor, heads: int) -> Tensor:
    """[B, N, D] as [B, heads, N, D / heads]."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def _merge(x: Tensor) -> Tensor:
    """The other way round."""
    return x.transpose(1, 2).flatten(2)


class ImageAttention(nn.Module):
    """Self-attention of patches."""

    def __init__(self, width: int):
        super().__init__()
        self.heads = width // HEAD_WIDTH
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (_split(part, self.heads) for part in self.qkv(x).chunk(3, dim=-1))
        return self.proj(_merge(F.scaled_dot_product_attention(query, key, value)))


class ImageBlock(nn.Module):
    """Attention and MLP, each on the normalised input and added to it."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn = ImageAttention(width)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, hidden), "fc2": nn.Linear(hidden, width)})

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x))))


class ImageEncoder(nn.Module):
    """A vision transformer: pixels [B, 3, S, S] to features [B, 1 + (S / patch)², D], the class token first."""

    def __init__(self, width: int, hidden: int, layers: int, patch: int, tokens: int):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens, width))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, patch, stride=patch)})
        self.blocks = nn.ModuleList(ImageBlock(width, hidden) for _ in range(layers))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, pixels: Tensor) -> Tensor:
        patches = self.patch_embed["proj"](pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], 1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class TextAttention(nn.Module):
    """Attention of words on `source`, added to the words and normalised."""

    def __init__(self, width: int, source: int, heads: int, eps: float):
        super().__init__()
        self.heads = heads
        given = {"query": width, "key": source, "value": source}
        self.self = nn.ModuleDict({name: nn.Linear(size, width) for name, size in given.items()})
        self.output = nn.ModuleDict({"dense": nn.Linear(width, width), "LayerNorm": nn.LayerNorm(width, eps=eps)})

    def forward(self, words: Tensor, source: Tensor, mask: Tensor | None = None) -> Tensor:
        query = _split(self.self["query"](words), self.heads)
        key, value = (_split(self.self[name](source), self.heads) for name in ("key", "value"))
        found = _merge(F.scaled_dot_product_attention(query, key, value, attn_mask=mask))
        return self.output["LayerNorm"](self.output["dense"](found) + words)


class TextLayer(nn.Module):
    """Words look at each other, then at the image; an MLP follows."""

    def __init__(self, width: int, image: int, heads: int, hidden: int, eps: float):
        super().__init__()
        self.attention = TextAttention(width, width, heads, eps)
        self.crossattention = TextAttention(width, image, heads, eps)
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, hidden)})
        self.output = nn.ModuleDict({"dense": nn.Linear(hidden, width), "LayerNorm": nn.LayerNorm(width, eps=eps)})

    def forward(self, words: Tensor, image: Tensor, mask: Tensor) -> Tensor:
        words = self.crossattention(self.attention(words, words, mask), image)
        return self.output["LayerNorm"](self.output["dense"](F.gelu(self.intermediate["dense"](words))) + words)


class TextEncoder(nn.Module):
    """A BERT with cross-attention; its sizes are those of `config`, a med_config.json."""

    def __init__(self, config: dict, image: int):
        super().__init__()
        width, eps = config["hidden_size"], config["layer_norm_eps"]
        sizes = (config["num_attention_heads"], config["intermediate_size"], eps)
        self.embeddings = nn.ModuleDict(
            {
                "word_embeddings": nn.Embedding(config["vocab_size"], width),
                "position_embeddings": nn.Embedding(config["max_position_embeddings"], width),
                "LayerNorm": nn.LayerNorm(width, eps=eps),
            }
        )
        layers = (TextLayer(width, image, *sizes) for _ in range(config["num_hidden_layers"]))
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(layers)})

    def forward(self, tokens: Tensor, mask: Tensor, image: Tensor) -> Tensor:
        """Features [B, N, D] of token ids [B, N] (mask 0 on padding), seen together with image features [B, M, E]."""
        positions = self.embeddings["position_embeddings"].weight[: tokens.shape[1]]
        words = self.embeddings["LayerNorm"](self.embeddings["word_embeddings"](tokens) + positions)
        added = (1.0 - mask[:, None, None].float()) * HIDDEN
        for layer in self.encoder["layer"]:
            words = layer(words, image, added)
        return words
