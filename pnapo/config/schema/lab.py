"""Beside the story: tuning, gains along training, measurements on the paths, and the paper's claims."""

from pydantic import Field

from pnapo.config.schema.base import Factor, Name, Positive, Probability, Section


class Tuning(Section):
    """How β, learning rate and number of steps are chosen for runs with `tune: true`: grids of one size, and prompts of
    their own. The factors stand around a run's own β and learning rate."""

    testset: Name = Field("validation", description="The test set whose scores decide.")
    metric: Name = Field("hps", description="The metric whose mean decides.")
    beta: list[Factor] = Field([0.1, 1, 10], min_length=1, description="Factors on a run's β.")
    learning_rate: list[Factor] = Field(
        [0.3, 1],
        min_length=1,
        description="Factors on a run's learning rate. A loss without β tries as many rates as "
        "others try pairs of both, evenly between the ends.",
    )
    steps: list[Positive] = Field(
        [], description="Steps to stop at that are tried; training goes on, for `budget`. None: the last step alone."
    )
    seed: int = Field(100, ge=0, description="Training seed of the grid, which no run may have.")


class Budget(Section):
    """Gain over the base at the snapshots of training: how much each method gets from how much compute."""

    testset: Name = Field("heldout", description="The test set.")
    metrics: list[Name] = Field(["hps"], min_length=1, description="The metrics.")
    backbones: list[Name] | None = Field(None, description="Backbones whose runs have curves; not given: all.")


class Lab(Section):
    """What `snakemake geometry` measures on models and pairs."""

    prompts: Positive = Field(64, description="Prompts whose trajectories are compared with the paths.")
    gradients: int = Field(1000, ge=3, description="Pairs whose gradients are compared, or all if there are fewer.")
    reward: Name = Field("hps", description="The reward, or preference, whose labels say which image of a pair wins.")


class Claims(Section):
    """The paper's claims: which runs and metrics play which part in them. A claim whose runs are not there is not judged."""

    backbones: list[Name] | None = Field(
        None, description="Backbones on which all are judged; the others stand in the table of regimes. Not given: all."
    )
    method: Name = Field("pnapo", description="The run that the claims are about.")
    baseline: Name = Field("diffusion_dpo", description="The run it is said to beat, with less compute.")
    independent: Name = Field("pnapo_independent", description="The method with fresh noise.")
    shuffled: Name = Field("pnapo_shuffled", description="The method with the stored noise of another prompt.")
    without_f: Name = Field("pnapo_no_f", description="The method without f.")
    without_g: Name = Field("pnapo_no_g", description="The method without g.")
    testset: Name = Field("heldout", description="The test set of the rewards.")
    reward: Name = Field("hps", description="The metric that is the training reward.")
    others: list[Name] = Field(
        ["pickscore", "aesthetic", "utility"], description="Metrics that no training has seen: gains must hold on them."
    )
    alignment: list[Name] = Field(
        ["clip", "geneval"],
        description="Metrics of what the prompt asks for, which must not suffer, on their first test set.",
    )
    margin: Probability = Field(0.02, description="How much alignment may fall, as a share of the base's mean.")
    straight: float = Field(
        0.1, gt=0, description="How far from the line, relative to its length, a nearly straight trajectory may be."
    )
    speedup: float = Field(12.0, gt=0, description="How many times less compute the method is said to need.")
