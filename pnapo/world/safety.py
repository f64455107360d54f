"""Train the world's safety filter: a tiny BERT classifier in the format of Detoxify's checkpoints."""

import math
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

from pnapo.artifacts import write_checkpoint
from pnapo.world.captions import freeform, paraphrase, training_caption, with_styles, words
from pnapo.world.raw_prompts import BODIES, FILLERS, HARMLESS, INSULTS, SEXUAL, VIOLENT, near_duplicate, unsafe_prompt
from pnapo.world.vae import random_scenes

CLASSES = ("toxicity", "sexual_explicit")
LENGTH = 64


def _tokenizer() -> BertTokenizer:
    extra = (*SEXUAL, *VIOLENT, *BODIES, *INSULTS, *HARMLESS, *FILLERS, "you masterpiece")
    letters = [chr(code) for code in range(33, 127)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters if c.isalnum())]
    vocabulary = list(dict.fromkeys([*pieces, *words(extra)]))
    return BertTokenizer(vocab={token: i for i, token in enumerate(vocabulary)}, model_max_length=LENGTH)


def _sample(rng: np.random.Generator) -> tuple[str, list[float]]:
    """A prompt and its labels. Harmless phrases with suspicious words are among the safe ones."""
    scene = random_scenes(rng, 1)[0]
    text = [training_caption, paraphrase, freeform][rng.integers(3)](scene, rng)
    text = with_styles(text, rng, int(rng.integers(0, 3)))
    target = [0.0, 0.0]
    if rng.random() < 0.15:
        text = f"{text}, {rng.choice(HARMLESS)}"
    if rng.random() < 0.4:
        text, label = unsafe_prompt(text, rng)
        target[CLASSES.index(label)] = 1.0
    return (near_duplicate(text, rng) if rng.random() < 0.3 else text), target


def train_safety(folder: Path, *, steps: int, batch: int, learning_rate: float, seed: int, log) -> None:
    """Write `toxic.ckpt` (Detoxify's format), `config.json` and the tokenizer to `folder`."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    tokenizer = _tokenizer()
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=LENGTH,
        num_labels=len(CLASSES),
        problem_type="multi_label_classification",
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    model = BertForSequenceClassification(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, fused=True)
    for step in range(1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min(step / 30, 0.5 * (1 + math.cos(math.pi * step / steps)) + 0.01)
        texts, targets = zip(*(_sample(rng) for _ in range(batch)))
        inputs = tokenizer(list(texts), return_tensors="pt", truncation=True, padding=True)
        loss = F.binary_cross_entropy_with_logits(model(**inputs).logits, torch.tensor(targets))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if step % max(1, steps // 10) == 0:
            log(f"safety step {step}/{steps} loss {loss.item():.4f}")
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    architecture = {
        "num_classes": len(CLASSES),
        "model_type": folder.as_posix(),
        "model_name": "BertForSequenceClassification",
        "tokenizer_name": "BertTokenizer",
    }
    checkpoint = {
        "config": {"arch": {"type": "BERT", "args": architecture}, "dataset": {"args": {"classes": list(CLASSES)}}},
        "state_dict": {name: value.half() for name, value in model.state_dict().items()},
    }
    write_checkpoint(folder / "toxic.ckpt", checkpoint)
