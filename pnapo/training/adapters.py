"""What is trained, and what the frozen reference is: a LoRA adapter (reference: adapter off) or a full copy, which the
processes of a training may split."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from pnapo.artifacts import read_json, read_tensors, write_json, write_tensors
from pnapo.backbones import Backbone
from pnapo.config.schema import Run
from pnapo.training.blocks import fit_out, strip
from pnapo.training.sharding import shared_out, split_copy, whole


class Policy(ABC):
    """A trainable transformer beside the frozen reference it starts from."""

    model: torch.nn.Module
    split = False  # whether `model` is split over the processes

    @property
    def trainable(self) -> dict[str, torch.nn.Parameter]:
        """The trained parameters by name, in a fixed order."""
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    @abstractmethod
    @contextmanager
    def reference(self) -> Iterator[torch.nn.Module]:
        """The reference model, usable inside the block, without gradients."""

    @abstractmethod
    def forget_reference(self) -> None:
        """Free what only the reference needs; `reference` must not be used after this."""

    @abstractmethod
    def save(self, folder: Path | None) -> None:
        """Write the current weights into `folder` in diffusers' format; every process calls it, without a folder where
        another one writes."""

    @abstractmethod
    def close(self) -> None:
        """Leave the backbone as it was before."""


class LoraPolicy(Policy):
    """A LoRA adapter (Hu et al. 2021, arXiv 2106.09685) on the attention projections of the backbone's transformer.

    A is Gaussian with deviation 1/rank, B zero, in float32 whatever the precision of the frozen weights: the policy
    starts exactly at the reference.
    """

    def __init__(self, backbone: Backbone, run: Run, seed: int):
        from peft import LoraConfig

        self.backbone, self.model, self.run = backbone, backbone.transformer, run
        self.scale = run.lora_alpha / run.lora_rank
        self.model.requires_grad_(False)
        config = LoraConfig(
            r=run.lora_rank,
            lora_alpha=run.lora_alpha,
            init_lora_weights="gaussian",
            target_modules=list(backbone.lora_targets),
        )
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.model.add_adapter(config)
        for parameter in self.trainable.values():
            parameter.data = parameter.data.float()
        fit_out(self.model, run)

    @contextmanager
    def reference(self) -> Iterator[torch.nn.Module]:
        self.model.disable_adapters()
        try:
            with torch.no_grad():
                yield self.model
        finally:
            self.model.enable_adapters()

    def forget_reference(self) -> None:
        """Nothing to free: the reference is the policy without its adapter."""

    def save(self, folder: Path | None) -> None:
        """Write pytorch_lora_weights.safetensors. alpha/rank is folded into B: loaders then assume alpha = rank."""
        from peft import get_peft_model_state_dict

        if folder is None:
            return
        state = get_peft_model_state_dict(self.model)
        self.backbone.save_lora(
            folder, {name: value * self.scale if "lora_B" in name else value for name, value in state.items()}
        )

    def load(self, folder: Path) -> None:
        """Take over the weights that `save` wrote, of an adapter of the same rank and alpha."""
        from peft import set_peft_model_state_dict

        state = read_tensors(folder / "pytorch_lora_weights.safetensors")
        own = {name.removeprefix("transformer."): value for name, value in state.items()}
        set_peft_model_state_dict(
            self.model, {name: value / self.scale if "lora_B" in name else value for name, value in own.items()}
        )

    def close(self) -> None:
        strip(self.model, self.run)
        self.model.unload_lora()


class FullPolicy(Policy):
    """A float32 copy of the whole transformer; the backbone's own stays as the reference, as long as it is needed.

    A sharded run of several processes splits the copy (`pnapo.training.sharding`), and leaves the reference whole.
    """

    def __init__(self, backbone: Backbone, run: Run, seed: int):
        self.backbone, self.split = backbone, run.sharded and shared_out()
        if self.split:
            self.model = split_copy(backbone.transformer, backbone.device)
        else:
            self.model = copy.deepcopy(backbone.transformer).float().requires_grad_(True)
        fit_out(self.model, run)

    @contextmanager
    def reference(self) -> Iterator[torch.nn.Module]:
        with torch.no_grad():
            yield self.backbone.transformer

    def forget_reference(self) -> None:
        """Free the backbone's own weights; an empty shell that knows shapes and precision stays."""
        self.backbone.transformer.to("meta")

    def save(self, folder: Path | None) -> None:
        """Write transformer/ in the backbone's own precision, in one file."""
        from diffusers.utils import SAFETENSORS_WEIGHTS_NAME

        state, dtype = {}, self.backbone.dtype
        for name, value in self.model.state_dict().items():
            value = whole(value.detach())
            if folder is not None:
                state[name] = value.to("cpu", dtype)
        if folder is None:
            return
        target = folder / "transformer"
        self.backbone.transformer.save_config(target)
        write_tensors(target / SAFETENSORS_WEIGHTS_NAME, state, {"format": "pt"})
        config = read_json(target / "config.json")
        config.pop("_name_or_path", None)  # where the base model happened to lie
        write_json(target / "config.json", config)

    def close(self) -> None:
        del self.model


ADAPTERS: dict[str, type[Policy]] = {"lora": LoraPolicy, "full": FullPolicy}
