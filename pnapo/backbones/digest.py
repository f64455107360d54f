"""A fingerprint of a transformer's architecture, by which a checkpoint is matched to its backbone."""

import hashlib
import json

import torch

_VOLATILE = ("_name_or_path", "_diffusers_version", "_class_name", "_use_default_values")


def config_digest(transformer: torch.nn.Module) -> str:
    """The SHA-256 of the transformer's configuration, without the keys that depend on where it was loaded from."""
    config = {k: v for k, v in dict(transformer.config).items() if k not in _VOLATILE}
    text = json.dumps(config, sort_keys=True, default=list)
    return hashlib.sha256(f"{type(transformer).__name__}:{text}".encode()).hexdigest()
