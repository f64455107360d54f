"""Parameters and FLOPs of what stands beside the transformer: text encoders, VAE, CLIPs and the safety filter.

Each from the configuration that its folder holds (transformers' and diffusers' config.json, open_clip's).
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple


class Tower(NamedTuple):
    """A stack of equal layers over tokens."""

    parameters: int
    width: int
    heads: int
    weights: int  # that a token meets, all layers
    layers: int
    inner: int  # width of attention, all heads
    hidden: int  # numbers of a token's MLP that are there at once
    tokens: int  # that it is fed at most

    def forward(self, tokens: int) -> float:
        """FLOPs of a forward pass over so many tokens."""
        return 2 * self.weights * tokens + 4 * self.layers * self.inner * tokens**2


def t5(config: Mapping[str, Any]) -> Tower:
    """`T5EncoderModel` with a gated MLP, as v1.1 has it."""
    d, inner, hidden, n = config["d_model"], config["num_heads"] * config["d_kv"], config["d_ff"], config["num_layers"]
    layer = 4 * d * inner + 3 * d * hidden
    buckets = config.get("relative_attention_num_buckets", 32) * config["num_heads"]
    parameters = config["vocab_size"] * d + n * (layer + 2 * d) + buckets + d
    return Tower(parameters, d, config["num_heads"], n * layer, n, inner, 3 * hidden, config.get("n_positions", 512))


def _layer(d: int, hidden: int) -> int:
    """Parameters of a layer of attention and MLP, with biases and two norms."""
    return 4 * (d * d + d) + d * hidden + hidden + hidden * d + d + 4 * d


def _tower(extra: int, d: int, heads: int, hidden: int, layers: int, tokens: int) -> Tower:
    parameters = extra + layers * _layer(d, hidden)
    return Tower(parameters, d, heads, layers * (4 * d * d + 2 * d * hidden), layers, d, 2 * hidden, tokens)


def clip_text(config: Mapping[str, Any]) -> Tower:
    """transformers' `CLIPTextModel`, with a projection if its class has one."""
    d, tokens = config["hidden_size"], config.get("max_position_embeddings", 77)
    projected = "Projection" in (config.get("architectures") or [""])[0]
    extra = (config["vocab_size"] + tokens + 2) * d + (d * config.get("projection_dim", d) if projected else 0)
    size = (config["num_attention_heads"], config["intermediate_size"], config["num_hidden_layers"])
    return _tower(extra, d, *size, tokens)


def bert(config: Mapping[str, Any]) -> Tower:
    """A BERT or RoBERTa, without its last layers for classes."""
    d, tokens = config["hidden_size"], config["max_position_embeddings"]
    extra = (config["vocab_size"] + tokens + config.get("type_vocab_size", 1) + 2) * d
    size = (config["num_attention_heads"], config["intermediate_size"], config["num_hidden_layers"])
    return _tower(extra, d, *size, tokens)


class Clip(NamedTuple):
    """What a reward is made of: both towers of a CLIP, or an image encoder and a language model that reads its features.

    `parameters` counts all of it, `size` bytes each; `joint`: the text tower sees every image, not every prompt once.
    """

    parameters: int
    image: Tower
    text: Tower
    joint: bool = False
    size: int = 4


def clip(config: Mapping[str, Any]) -> Clip:
    """transformers' `CLIPModel` (PickScore)."""
    vision, shared = config["vision_config"], config["projection_dim"]
    text = clip_text({"vocab_size": 49408, **config["text_config"], "architectures": None})
    d, tokens = vision["hidden_size"], (vision["image_size"] // vision["patch_size"]) ** 2 + 1
    extra = 3 * vision["patch_size"] ** 2 * d + d + tokens * d + 4 * d
    image = _tower(
        extra,
        d,
        vision["num_attention_heads"],
        vision["intermediate_size"],
        vision["num_hidden_layers"],
        tokens,
    )
    return Clip(image.parameters + text.parameters + (d + text.width) * shared + 1, image, text)


def open_clip(config: Mapping[str, Any]) -> Clip:
    """An open_clip model with a plain vision transformer: its `model_cfg`."""
    vision, words, shared = config["vision_cfg"], config["text_cfg"], config["embed_dim"]
    d, tokens = vision["width"], (vision["image_size"] // vision["patch_size"]) ** 2 + 1
    extra = 3 * vision["patch_size"] ** 2 * d + d + tokens * d + 4 * d
    hidden = int(d * vision.get("mlp_ratio", 4))
    image = _tower(extra, d, d // vision.get("head_width", 64), hidden, int(vision["layers"]), tokens)
    w, context = words["width"], words.get("context_length", 77)
    extra = (words.get("vocab_size", 49408) + context + 2) * w
    text = _tower(extra, w, words["heads"], 4 * w, words["layers"], context)
    return Clip(image.parameters + text.parameters + (d + w) * shared + 1, image, text)


def blip(vision: Mapping[str, Any], words: Mapping[str, Any], tokens: int) -> Clip:
    """ImageReward: a BERT (`words` is a med_config.json) of `tokens` tokens whose layers look at an image, and its head.

    Keys and values of cross-attention are counted with the image, whose tokens meet them; its products are left out.
    """
    d, patches = vision["hidden_size"], (vision["image_size"] // vision["patch_size"]) ** 2 + 1
    extra = 3 * vision["patch_size"] ** 2 * d + 2 * d + patches * d + 2 * d
    size = (vision["num_attention_heads"], vision["intermediate_size"], vision["num_hidden_layers"])
    image, text = _tower(extra, d, *size, patches), bert({**words, "type_vocab_size": 0})
    width, layers = text.width, text.layers
    crossed = layers * (2 * (width + 1) * width + 2 * (d + 1) * width + 2 * width)
    head = sum(given * made + made for given, made in pairwise((width, 1024, 128, 64, 16, 1)))
    return Clip(
        image.parameters + text.parameters + crossed + head,
        image._replace(weights=image.weights + layers * 2 * d * width),
        text._replace(weights=text.weights + layers * 2 * width**2, tokens=tokens),
        joint=True,
    )


def decoder(config: Mapping[str, Any], tokens: int) -> Tower:
    """A language model with grouped queries and a gated MLP, fed `tokens` tokens; its output layer has its own weights."""
    d, n = config["hidden_size"], config["num_hidden_layers"]
    shared = d * config["num_key_value_heads"] // config["num_attention_heads"]
    layer = 2 * d * d + 2 * d * shared + 3 * d * config["intermediate_size"]
    parameters = 2 * config["vocab_size"] * d + n * (layer + 2 * d + d + 2 * shared) + d
    return Tower(parameters, d, config["num_attention_heads"], n * layer, n, d, 3 * config["intermediate_size"], tokens)


def vision_transformer(config: Mapping[str, Any], tokens: int) -> Tower:
    """An image encoder by its width, layers and MLP; what comes before and after its layers is left out."""
    size = (config["num_attention_heads"], config["intermediate_size"], config["num_hidden_layers"])
    return _tower(0, config["hidden_size"], *size, tokens)


class Detector(NamedTuple):
    """A Mask2Former of published size, and the CLIP that names colours."""

    parameters: int
    flops: float  # of an image of any size
    flops_a_pixel: float
    bytes_a_pixel: float  # of its activations
    clip: Clip

    def forward(self, side: int) -> float:
        """FLOPs for an image of side × side pixels."""
        return self.flops + self.flops_a_pixel * side**2


class Conv(NamedTuple):
    """A convolution `size`×`size`, at 1/`down` of the picture's width."""

    given: int
    made: int
    size: int
    down: int

    @property
    def parameters(self) -> int:
        return self.given * self.made * self.size**2 + self.made


class Vae(NamedTuple):
    """diffusers' `AutoencoderKL`. FLOPs are for each pixel of the picture; the attention in its middle is left out."""

    parameters: int
    channels: int  # of the latent
    scale: int  # pixels for each latent cell along a side
    encode: float
    decode: float
    encode_widest: float  # numbers of the largest activation, for each pixel
    decode_widest: float


def _resnet(given: int, made: int, down: int) -> Iterator[Conv]:
    yield Conv(given, made, 3, down)
    yield Conv(made, made, 3, down)
    if given != made:
        yield Conv(given, made, 1, down)


def _norms(convs: Sequence[Conv]) -> int:
    """Parameters of the group norms, one before each 3×3 convolution of a resnet."""
    return sum(2 * conv.given for conv in convs if conv.size == 3)


def vae(config: Mapping[str, Any]) -> Vae:
    widths, layers = config["block_out_channels"], config["layers_per_block"]
    channels, scale, top = config["latent_channels"], 2 ** (len(widths) - 1), widths[-1]
    middle = [*_resnet(top, top, scale), *_resnet(top, top, scale)]
    attention = 4 * (top * top + top) + 2 * top if config.get("mid_block_add_attention", True) else 0
    down, plain, given = [], [Conv(3, widths[0], 3, 1), Conv(top, 2 * channels, 3, scale)], widths[0]
    for level, width in enumerate(widths):
        for _ in range(layers):
            down += _resnet(given, width, 2**level)
            given = width
        if level + 1 < len(widths):
            plain.append(Conv(width, width, 3, 2 ** (level + 1)))
    up, given, back = [], top, [Conv(channels, top, 3, scale), Conv(widths[0], 3, 3, 1)]
    for level, width in reversed(list(enumerate(widths))):
        for _ in range(layers + 1):
            up += _resnet(given, width, 2**level)
            given = width
        if level:
            back.append(Conv(width, width, 3, 2 ** (level - 1)))
    quant = [Conv(2 * channels, 2 * channels, 1, scale)] if config.get("use_quant_conv", True) else []
    post = [Conv(channels, channels, 1, scale)] if config.get("use_post_quant_conv", True) else []
    parameters = sum(conv.parameters for conv in (*middle, *middle, *down, *up, *plain, *back, *quant, *post))
    parameters += _norms([*middle, *middle, *down, *up]) + 2 * attention + 2 * top + 2 * widths[0]
    encode, decode = [*down, *middle, *plain, *quant], [*up, *middle, *back, *post]

    def flops(convs: Sequence[Conv]) -> float:
        return sum(2 * conv.given * conv.made * conv.size**2 / conv.down**2 for conv in convs)

    def widest(convs: Sequence[Conv]) -> float:
        return max(max(conv.given, conv.made) / conv.down**2 for conv in convs)

    return Vae(parameters, channels, scale, flops(encode), flops(decode), widest(encode), widest(decode))
