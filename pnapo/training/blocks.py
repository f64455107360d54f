"""The blocks that a transformer repeats: where memory and time of a training go, and what is saved of both, block by block."""

from torch import nn

from pnapo.config.schema import Run


def blocks_of(transformer: nn.Module) -> list[nn.Module]:
    """The blocks of joint attention, then FLUX's single ones, in the order of a forward pass."""
    lists = (getattr(transformer, name, ()) for name in ("transformer_blocks", "single_transformer_blocks"))
    return [block for blocks in lists for block in blocks]


def fit_out(transformer: nn.Module, run: Run) -> None:
    """Switch on the gradient checkpointing and the compilation that a run asks for. No weight is touched."""
    if run.gradient_checkpointing:
        transformer.enable_gradient_checkpointing()
    for block in blocks_of(transformer) if run.compile else ():
        block.compile()


def strip(transformer: nn.Module, run: Run) -> None:
    """Undo `fit_out`."""
    if run.gradient_checkpointing:
        transformer.disable_gradient_checkpointing()
    for block in blocks_of(transformer) if run.compile else ():
        block._compiled_call_impl = None  # torch has no public way back
