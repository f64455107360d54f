"""How long a training step takes: the policy alone, with the reference's errors known, and with them computed in it.

Beside them a step of the shape that flow_grpo's DPO trainer has: policy and reference are two adapters of one model, and
each step runs both. They take turns in one process, so that a busy machine slows all of them alike; prints medians as JSON.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

WIDTHS = {"tiny": None, "small": (10, 8, 64)}  # layers, heads, dimensions of a head of an SD3 with random weights


def load(name: str, device: str):
    """The embedded world's SD3, or an SD3 of 50-100 M parameters; its vae configuration is the world's."""
    import torch

    from pnapo.backbones import SD3Backbone, load_backbone
    from pnapo.config.schema import Model

    world = load_backbone(
        Model(family="sd3", path="assets/world/sd3", resolution=32, max_sequence_length=20), {"transformer"}, device
    )
    if WIDTHS[name] is None:
        return world
    layers, heads, head = WIDTHS[name]
    torch.manual_seed(0)
    config = {**world.transformer.config, "num_layers": layers, "num_attention_heads": heads}
    config |= {"attention_head_dim": head, "caption_projection_dim": heads * head}
    transformer = type(world.transformer).from_config(config)
    parts = {**world.parts, "transformer": transformer}
    return SD3Backbone(parts, path=world.path, resolution=32, max_sequence_length=20, device=device)


def make_pairs(backbone, count: int, tokens: int = 40):
    """Random pairs and embeddings of the backbone's shapes."""
    import torch

    from pnapo.pairs.embeddings import Embeddings
    from pnapo.pairs.preferences import PreferencePairs

    config, shape = backbone.transformer.config, backbone.latent_shape
    x0_w, x0_l, xT_w, xT_l = torch.randn(4, count, *shape)
    ids = [f"{number:016x}" for number in range(count)]
    cond = {
        "prompt_embeds": torch.randn(count, tokens, config.joint_attention_dim),
        "pooled": torch.randn(count, config.pooled_projection_dim),
    }
    gap = torch.rand(count, dtype=torch.float64) * 0.02
    made_with = {"family": "sd3", "guidance": 1.0}
    return PreferencePairs(ids, x0_w, x0_l, xT_w, xT_l, gap, made_with), Embeddings(cond, ids, "benchmark")


def learners(backbone, batch: int, repeats: int, folder: Path, tokens: int = 40):
    """A learner on one policy, whose reference is known (a `Table`), and the source that computes it."""
    from pnapo.config.schema import Run
    from pnapo.training.adapters import ADAPTERS
    from pnapo.training.batches import Batches
    from pnapo.training.crew import Crew
    from pnapo.training.lookup import Computed, Table
    from pnapo.training.meter import Meter
    from pnapo.training.reference import Reference
    from pnapo.training.settings import resolve_settings
    from pnapo.training.step import Learner

    run = Run(schedule="dynamic", steps=repeats + 1, batch=batch, beta=300, learning_rate=1e-4)
    pairs, embeddings = make_pairs(backbone, 2 * batch, tokens)
    settings = resolve_settings(backbone=backbone, pairs=pairs, run=run, seed=0, draw_seed=0)
    batches = Batches(pairs, embeddings, run, seed=0, draw_seed=0, reward_scale=100.0, device=backbone.device)
    reference = Reference(backbone, batches.draws, 1.0)
    crew = Crew(backbone.device, backbone.dtype, run.accumulation)

    def quiet(line: str) -> None:
        """Training's own log would stand among the figures."""

    table = Table(reference, batches, run.steps * batch, [], work=folder, key="", log=quiet, crew=crew)
    policy = ADAPTERS["lora"](backbone, run, 0)
    meter = Meter(backbone.device, crew)
    learner = Learner(backbone, policy, batches, table, settings["guidance"], crew, meter)
    return learner, table, Computed(reference, batches, policy)


def measure(name: str, batch: int, repeats: int, device: str) -> dict[str, float | int]:
    """Median seconds of each kind of step, and their ratios to the policy's forward and backward pass alone."""
    import torch

    from pnapo.training.points import errors_at

    backbone = load(name, device)
    parameters = sum(p.numel() for p in backbone.transformer.parameters())
    with tempfile.TemporaryDirectory() as folder:
        learner, table, computed = learners(backbone, batch, repeats, Path(folder))

        def policy(step: int) -> None:
            points = learner.batches.at(step * batch, batch)
            began(lambda: errors_at(backbone, learner.policy.model, points, 1.0).mean().backward())
            learner.optimizer.zero_grad()

        config = backbone.transformer.peft_config["default"]
        backbone.transformer.add_adapter(config, "reference")
        backbone.transformer.set_adapter("default")

        def two_adapters(step: int) -> None:
            points = learner.batches.at(step * batch, batch)
            began(lambda: both_adapters(points))

        def both_adapters(points) -> None:
            model, trained = learner.policy.model, learner.policy.trainable.values()
            model.set_adapter("reference")
            with torch.no_grad():
                reference = errors_at(backbone, model, points, 1.0)
            model.set_adapter("default")
            won, lost = (errors_at(backbone, model, points, 1.0) - reference).chunk(2)
            torch.nn.functional.logsigmoid(-0.5 * 100 * (won - lost)).mean().neg().backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            learner.optimizer.step()
            learner.optimizer.zero_grad()

        def step_with(source):
            def run(step: int) -> None:
                learner.reference = source
                began(lambda: learner.step(step))

            return run

        def began(work) -> None:
            start = time.perf_counter()
            work()
            if device == "cuda":
                torch.cuda.synchronize()
            spent.append(time.perf_counter() - start)

        kinds = {
            "policy": policy,
            "cached": step_with(table),
            "uncached": step_with(computed),
            "two_adapters": two_adapters,
        }
        times: dict[str, list[float]] = {kind: [] for kind in kinds}
        for step in range(repeats + 1):
            for kind, run in kinds.items():
                spent: list[float] = []
                run(step)
                times[kind] += spent if step else []  # the first warms up
    medians = {kind: statistics.median(values) for kind, values in times.items()}
    ratios = [c / p for c, p in zip(times["cached"], times["policy"])]
    return {
        "parameters": parameters,
        **{f"{kind}_seconds": round(value, 5) for kind, value in medians.items()},
        "cached_per_policy": round(medians["cached"] / medians["policy"], 4),
        "cached_per_policy_paired": round(statistics.median(ratios), 4),
        "two_adapters_per_cached": round(medians["two_adapters"] / medians["cached"], 4),
        "reference_share_of_uncached": round(1 - medians["cached"] / medians["uncached"], 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=list(WIDTHS), choices=list(WIDTHS))
    parser.add_argument("--batch", type=int, default=16, help="pairs per step")
    parser.add_argument("--repeats", type=int, default=9, help="steps of each kind")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    arguments = parser.parse_args()

    import torch

    from pnapo.scripting import limit_threads

    limit_threads()
    found = {name: measure(name, arguments.batch, arguments.repeats, arguments.device) for name in arguments.models}
    where = {"device": arguments.device, "threads": torch.get_num_threads(), "torch": torch.__version__}
    print(json.dumps({**where, "batch": arguments.batch, "repeats": arguments.repeats, "models": found}, indent=2))


if __name__ == "__main__":
    main()
