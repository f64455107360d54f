"""Training runs, and the choices that make a method: path × loss × schedule."""

from typing import Annotated, Literal

from pydantic import Field

from pnapo.config.schema.base import Name, Positive, Probability, Section

# The choices of method = path × loss × schedule. `pnapo.objectives` implements exactly these (a test compares them).
PathName = Literal["stored", "inverted", "shuffled", "independent", "independent_each", "truncated"]
LossName = Literal[
    "dpo", "ipo", "capo", "sdpo", "linear", "inversion_dpo_published", "kto", "npo", "self_npo", "mapo", "sft"
]
ScheduleName = Literal["constant", "reward_gap", "anneal", "dynamic"]
WITHOUT_BETA = ("sft", "self_npo")  # losses that β does not change
WeightName = Literal["constant", "snr", "discount", "x0"]


class Overrides(Section):
    """Settings of a run that differ on one backbone."""

    beta: float | None = Field(None, gt=0)
    learning_rate: float | None = Field(None, gt=0)
    steps: Positive | None = None
    batch: Positive | None = None
    accumulation: Positive | None = None
    adapter: Literal["lora", "full"] | None = None
    optimizer: Literal["adamw", "adamw_8bit"] | None = None
    gradient_checkpointing: bool | None = None
    sharded: bool | None = None


class Run(Section):
    """One training run: a method (path × loss × schedule) and how it is optimized."""

    path: PathName = Field("stored", description="Where the noised state and its target come from.")
    loss: LossName = Field("dpo", description="How the errors of winner and loser become a scalar.")
    schedule: ScheduleName = Field("constant", description="The β of each pair and step.")
    beta: float = Field(5000.0, gt=0, description="β in the code convention (mean over dimensions, factor ½).")
    n1: Probability = Field(0.2, description="Share of training after which g starts to fall.")
    n2: Probability = Field(0.8, description="Share of training from which g is ½.")
    data: Name | None = Field(None, description="The data set it trains on; not given: the pairs that the model made.")
    reward: Name = Field(
        "hps", description="The reward, or the preference, whose labels are used; given: the data set's own preference."
    )
    reward_scale: Literal["auto", "raw"] | Annotated[float, Field(gt=0)] = Field(
        100.0,
        description="Factor on the reward gap in f; auto: median f = ½; raw: 1, as a preference's labels need it.",
    )
    pairs: Positive | None = Field(None, description="Prompts used, the first of the pair set; not given: all.")
    min_gap: float = Field(
        0.0,
        ge=0,
        description="Pairs with a smaller reward gap, in the reward's raw units (a preference's: logits), are left out.",
    )
    time_sampling: Literal["uniform", "logit_normal"] = Field("uniform", description="Distribution of t.")
    time_weight: WeightName = Field(
        "constant",
        description="Factor on the loss by t: snr, towards noise (CaPO); discount, the first steps (dense reward); x0, t²: "
        "the error of the predicted image instead of the velocity's (Self-NPO).",
    )
    snr_bias: float = Field(0.0, description="b in σ(b − λ_t) of `time_weight: snr`.")
    discount: float = Field(0.9, gt=0, le=1, description="γ of `time_weight: discount`, a step of 50.")
    reference: Literal["cache", "compute"] = Field(
        "cache",
        description="When the frozen reference is evaluated: cache, before the first step, shared by all runs of the same "
        "path, time_sampling and training seed; compute, in each step. The result is the same; cache is faster and needs less "
        "memory.",
    )
    reference_ema: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Decay of a reference that follows the policy's weights as their moving average (Linear-DPO); 0: frozen. "
        "Needs `reference: compute`.",
    )
    adapter: Literal["lora", "full"] = Field("lora", description="What is trained.")
    lora_rank: Positive = Field(16, description="Rank of the LoRA adapter.")
    lora_alpha: Positive = Field(16, description="Scale numerator of the LoRA adapter.")
    optimizer: Literal["adamw", "adamw_8bit"] = Field(
        "adamw",
        description="AdamW, fused; adamw_8bit holds its moments in a quarter of the memory (needs the package bitsandbytes).",
    )
    learning_rate: float = Field(1e-6, gt=0, description="AdamW's learning rate.")
    weight_decay: float = Field(0.0, ge=0, description="AdamW's weight decay.")
    warmup: int = Field(0, ge=0, description="Steps of linear warm-up.")
    steps: Positive = Field(1000, description="Optimizer steps.")
    snapshots: list[Positive] = Field(
        [], description="Steps after which the weights are kept as well: the points of `budget`'s curves."
    )
    tune: bool = Field(False, description="Whether `tuning` chooses β, learning rate and the step to stop at.")
    batch: Positive = Field(16, description="Pairs per forward pass.")
    accumulation: Positive = Field(1, description="Forward passes per optimizer step.")
    gradient_checkpointing: bool = Field(
        False,
        description="Keep each block's input alone for the backward pass and compute the rest again: a third more time, "
        "several times less memory, the same result.",
    )
    compile: bool = Field(False, description="Compile the transformer's blocks (torch.compile): rounding may differ.")
    sharded: bool = Field(
        False,
        description="Split weights, gradients and moments over the processes of a training (FSDP), instead of each holding "
        "all. For `adapter: full`; the result is the same up to rounding.",
    )
    max_grad_norm: float = Field(1.0, gt=0, description="Gradient norm above which the gradient is scaled down.")
    ema: float = Field(0.0, ge=0, lt=1, description="Decay of the weights' moving average; 0 saves the last weights.")
    seeds: list[int] = Field(
        [0],
        min_length=1,
        description="Training seeds: times and fresh noises, order of the pairs, adapter initialisation.",
    )
    checkpoint_every: Positive = Field(100, description="Steps between resumable states.")
    backbones: list[Name] | None = Field(None, description="Backbones it is run on; not given: all.")
    on: dict[Name, Overrides] = Field({}, description="Settings that differ on a backbone, by its name.")
