"""Everything that determines a training, resolved to numbers: the content of settings.json and of the manifest."""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pnapo.backbones import Backbone
from pnapo.backbones.digest import config_digest
from pnapo.config.schema import Run
from pnapo.errors import UserError
from pnapo.objectives.losses import LOSSES
from pnapo.objectives.paths import PATHS
from pnapo.objectives.reward_scale import resolve_reward_scale
from pnapo.pairs.generate import digest_of

if TYPE_CHECKING:
    from pnapo.pairs.preferences import PreferencePairs

# Lists of which one entry is in force here, how often to save, and when the reference is computed: they change nothing
# in the result.
_IRRELEVANT = {"seeds", "on", "checkpoint_every", "reference"}


def apply_choice(run: Run, choice: Mapping[str, Any]) -> tuple[Run, int]:
    """A run with the settings that tuning chose (β, if its loss has one), and the step after which its weights are taken."""
    chosen = {name: float(choice[name]) for name in ("beta", "learning_rate") if name in choice}
    return run.model_copy(update=chosen), int(choice["step"])


def resolve_settings(
    *, backbone: Backbone, pairs: "PreferencePairs", run: Run, seed: int, draw_seed: int, stop: int | None = None
) -> dict[str, Any]:
    """The resolved settings. β stands in both conventions: beta_sum = beta_code/(2D), D the latent's dimensions.

    Raises UserError if the pairs were made by another kind of backbone, or lack the noise of the path, if rollouts did not
    stop where the draws say, if n1 > n2, or if no weights of step `stop` are kept.
    """
    stop = stop or run.steps
    if stop not in (*run.snapshots, run.steps) or max(run.snapshots, default=0) > run.steps:
        raise UserError(
            f"weights after {stop} of {run.steps} steps were asked for, but those kept are of "
            f"{', '.join(map(str, run.snapshots)) or 'no others'}; set snapshots, none later than the last step"
        )
    shape, made_with = tuple(pairs.x0_w.shape[1:]), pairs.settings
    if (made_with["family"], shape) != (backbone.family, tuple(backbone.latent_shape)):
        raise UserError(
            f"the pairs were made by a {made_with['family']} backbone with latents of shape {list(shape)}, but "
            f"{backbone.path} is {backbone.family} with {list(backbone.latent_shape)}; use the pairs of this backbone"
        )
    if not PATHS[run.path].fresh and pairs.xT_w.shape != pairs.x0_w.shape:
        raise UserError(
            f"path {run.path}: these images come from elsewhere, without the noise that made them; "
            "use independent, independent_each or inverted"
        )
    if PATHS[run.path].noise == "truncated" and made_with.get("truncation", {}).get("seed") != draw_seed:
        raise UserError(
            f"path {run.path}: needs pairs truncated with the seed of the draws, {draw_seed}; make them first"
        )
    if run.n1 > run.n2:
        raise UserError(f"n1 = {run.n1} is larger than n2 = {run.n2}; g falls from n1 to n2, so n1 must not exceed n2")
    gaps = np.asarray(pairs.gap, dtype=np.float64)
    dimensions = int(np.prod(shape))
    digest = hashlib.sha256("\n".join((*pairs.prompt_ids, pairs.made_from)).encode() + gaps.tobytes())
    return {
        "run": run.model_dump(mode="json", exclude=_IRRELEVANT),
        "stop": stop,
        "seed": seed,
        "draw_seed": draw_seed,
        "guidance": made_with["guidance"],
        "negative": LOSSES[run.loss].negative,
        "family": backbone.family,
        "base_model": backbone.path,
        "transformer_config": config_digest(backbone.transformer),
        "weights": digest_of(backbone.transformer.state_dict()),
        "dtype": str(backbone.dtype).removeprefix("torch."),
        "latent_shape": list(shape),
        "dimensions": dimensions,
        "beta_code": run.beta,
        "beta_sum": run.beta / (2 * dimensions),
        "reward_scale": resolve_reward_scale(run.reward_scale, gaps),
        "pairs": {"count": len(gaps), "sha256": digest.hexdigest()},
    }
