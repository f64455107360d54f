"""One policy over all processes of a training: each holds a share of every weight, gradient and moment.

Fully sharded data parallelism (Zhao et al. 2023, arXiv 2304.11277), as `torch.distributed.fsdp.fully_shard` does it: a block's
weights are gathered when a pass comes to it and dropped after it, its gradient is averaged over the processes and split as
soon as it is there. So every process has to make the same passes in the same order, which a crew's do.
"""

import copy
import warnings
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pnapo.errors import UserError
from pnapo.refusals import raise_refused
from pnapo.training.blocks import blocks_of


def shared_out() -> bool:
    """Whether there are processes to split a policy over."""
    distributed = torch.distributed
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def split_copy(transformer: nn.Module, device: torch.device) -> nn.Module:
    """A trainable float32 copy of a transformer, split over the processes.

    It is made block by block, so that no process ever holds the whole copy. A bfloat16 transformer's copy is gathered, and
    its passes are made, in bfloat16; gradients are averaged in float32. The transformer itself is left as it is.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    dtype = next(transformer.parameters()).dtype
    precision = MixedPrecisionPolicy(cast_forward_inputs=False)
    if dtype == torch.bfloat16:
        precision = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32, cast_forward_inputs=False)
    mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    # FLUX's single blocks give views. Nothing changes these in place, which is what torch warns of.
    warnings.filterwarnings("ignore", r"FSDP2-wrapped module .* returned a view tensor")
    tensors = {id(tensor): tensor for tensor in chain(transformer.parameters(), transformer.buffers())}
    model = copy.deepcopy(transformer, tensors.copy())  # new modules around the old tensors
    for module in (*blocks_of(model), model):
        _own(module, tensors.keys())
        # The root too is dropped after its pass: else one without gradient would leave it as it was then.
        fully_shard(module, mesh=mesh, mp_policy=precision, reshard_after_forward=True)
    return model


def _own(module: nn.Module, foreign: set[int]) -> None:
    """Replace tensors of others below a module by float32 copies of its own."""
    for child in module.modules():
        for name, value in child._parameters.items():
            if id(value) in foreign:
                child._parameters[name] = nn.Parameter(value.detach().to(torch.float32, copy=True))
        for name, value in child._buffers.items():
            if id(value) in foreign:
                child._buffers[name] = value.to(torch.float32 if value.is_floating_point() else value.dtype, copy=True)


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor that may be split, gathered from all processes; every process has to ask."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def save_parts(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, averages: Mapping[str, Mapping[str, Any]]
) -> None:
    """Write weights, optimizer state and moving averages into `folder`, each process its share.

    Raises Refused if the system refuses it to a process.
    """
    import torch.distributed.checkpoint as checkpoint

    try:
        checkpoint.save(_parts(model, optimizer, averages), checkpoint_id=str(folder))
    except checkpoint.CheckpointException as error:  # no Exception, so nobody above would tell it in one line
        _raise_refused(error, folder)
        raise RuntimeError(f"{folder}: could not be saved") from error


def load_parts(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, averages: Mapping[str, Mapping[str, Any]]
) -> None:
    """Take over what `save_parts` wrote, on as many processes or others. Raises UserError if it is no such thing, Refused if
    the system does not let it be read."""
    import torch.distributed.checkpoint as checkpoint
    from torch.distributed.checkpoint.state_dict import set_optimizer_state_dict

    from pnapo.training.plain_parts import PlainPlanner, PlainReader

    found = _parts(model, optimizer, averages)
    # Into the very tensors of weights and averages.
    try:
        checkpoint.load(found, storage_reader=PlainReader(str(folder)), planner=PlainPlanner())
    except checkpoint.CheckpointException as error:
        _raise_refused(error, folder)
        raise UserError(f"{folder}: damaged, or holds more than plain data; delete it and run again") from None
    set_optimizer_state_dict(model, optimizer, found["optimizer"])


def _raise_refused(error: Any, folder: Path) -> None:
    """Raise Refused if the system, and not what is in the folder, is the reason in one of the processes."""
    for failure, _ in error.failures.values():
        raise_refused(failure, folder)


def _parts(model: nn.Module, optimizer: torch.optim.Optimizer, averages: Mapping[str, Any]) -> dict[str, Any]:
    from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict

    weights = {name: value.detach() for name, value in model.named_parameters()}
    found = {"weights": weights, "optimizer": get_optimizer_state_dict(model, optimizer)}
    return {**found, **({"averages": dict(averages)} if averages else {})}
