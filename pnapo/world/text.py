"""Tiny tokenizers and frozen text encoders, in the formats of CLIP and T5.

The encoders are random and never trained: re-scaled initialisation mixes the tokens enough for the transformers of the
embedded world to read word, order and binding from them (a prototype found trained ones no better).
"""

from collections import Counter
from functools import cache
from itertools import pairwise

import torch
from tokenizers import pre_tokenizers
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from pnapo.world.captions import words

CLIP_LENGTH = 14
T5_LENGTH = 20
START, END = "<|startoftext|>", "<|endoftext|>"


def _merges() -> list[tuple[str, str]]:
    """Byte-pair merges until every word of the grammar is one token: the most frequent pair first, ties by the alphabet.

    (The trainer of `tokenizers` breaks ties at random, so that two processes would number tokens differently.)
    """
    parts = [[*word[:-1], f"{word[-1]}</w>"] for word in words()]
    merges = []
    while counts := Counter(pair for part in parts for pair in pairwise(part)):
        first, second = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append((first, second))
        for part in parts:
            for place in range(len(part) - 2, -1, -1):
                if part[place : place + 2] == [first, second]:
                    part[place : place + 2] = [first + second]
    return merges


@cache
def clip_tokenizer(length: int = CLIP_LENGTH) -> CLIPTokenizer:
    """A byte-level BPE tokenizer in CLIP's format in which every word of the grammar is one token."""
    alphabet, merges = sorted(pre_tokenizers.ByteLevel.alphabet()), _merges()
    tokens = [*alphabet, *(f"{a}</w>" for a in alphabet), *("".join(pair) for pair in merges), START, END]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=length)


def t5_tokenizer() -> T5Tokenizer:
    """A Unigram tokenizer in T5's format: the grammar's words, and single ASCII characters for everything else."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -4.0)]
    pieces += [(f"▁{word}", -2.0) for word in words()]
    pieces += [(chr(code), -8.0) for code in range(33, 127)]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=T5_LENGTH)


def _rescale(model: torch.nn.Module, mixing: float = 1.0) -> torch.nn.Module:
    """Embeddings of unit variance, linear layers that keep it, and peaked attention, so that words mix by place.

    `mixing` scales what the blocks of T5 add to a word: with less of it the word itself stays easier to read.
    """
    for name, weight in model.named_parameters():
        if weight.ndim < 2:
            continue
        if "relative_attention_bias" in name:
            std = 3.0
        elif "position" in name:
            std = 0.5
        elif "embedding" in name or "shared" in name:
            std = 1.0
        elif name.endswith(("SelfAttention.o.weight", "DenseReluDense.wo.weight")):
            std = mixing * weight.shape[1] ** -0.5
        else:
            std = (2.0 if any(part in name for part in ("q_proj", "k_proj")) else 1.0) * weight.shape[1] ** -0.5
        torch.nn.init.normal_(weight, std=std)
    return model.eval().requires_grad_(False)


def clip_text_encoder(tokenizer: CLIPTokenizer, width: int, projection: bool, seed: int) -> torch.nn.Module:
    """A frozen random CLIP text model of 2 layers; with `projection` as SD3 uses it, without as FLUX does."""
    torch.manual_seed(seed)
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        projection_dim=width,
        num_hidden_layers=2,
        num_attention_heads=width // 16,
        max_position_embeddings=CLIP_LENGTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return _rescale((CLIPTextModelWithProjection if projection else CLIPTextModel)(config))


def t5_encoder(tokenizer: T5Tokenizer, width: int, seed: int, mixing: float = 1.0) -> T5EncoderModel:
    """A frozen random T5 encoder of 2 layers; its relative position biases are large, so that neighbours mix."""
    torch.manual_seed(seed)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=width,
        d_kv=16,
        d_ff=2 * width,
        num_layers=2,
        num_heads=width // 16,
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,
        decoder_start_token_id=0,
        use_cache=False,
        tie_word_embeddings=False,
    )
    return _rescale(T5EncoderModel(config), mixing)
