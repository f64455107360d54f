"""Training, generation and scoring in bfloat16 at real size on a GPU: SD3-M's configuration with random weights.

Training steps are compared with and without gradient checkpointing and torch.compile, and with each attention kernel that
the machine has; model FLOP utilisation is the counted FLOPs of a forward and backward pass over time and the GPU's peak.
Prints JSON.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

from training_step import make_pairs, sessions

# What differs from the library's defaults, which are SD3-M's; and a small one, to try the script without a GPU.
SIZES = {
    "sd3-medium": {
        "transformer": {
            "sample_size": 128,
            "num_layers": 24,
            "num_attention_heads": 24,
            "attention_head_dim": 64,
            "caption_projection_dim": 1536,
            "joint_attention_dim": 4096,
            "pooled_projection_dim": 2048,
            "pos_embed_max_size": 192,
        },
        "vae": {"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "norm_num_groups": 32},
        "resolution": 1024,
        "tokens": 333,
    },
    "small": {
        "transformer": {
            "sample_size": 16,
            "num_layers": 2,
            "num_attention_heads": 2,
            "attention_head_dim": 16,
            "caption_projection_dim": 32,
            "joint_attention_dim": 64,
            "pooled_projection_dim": 32,
            "pos_embed_max_size": 32,
        },
        "vae": {"block_out_channels": (8, 8), "layers_per_block": 1, "norm_num_groups": 4},
        "resolution": 32,
        "tokens": 20,
    },
}
PEAKS = {"A100": 312e12, "H100": 989e12, "H200": 989e12, "L40S": 362e12, "4090": 165e12}  # dense bfloat16, FLOP/s


def load(size: str, device: str):
    """An SD3 with random weights in bfloat16, and a VAE of that size."""
    import torch
    from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel

    from pnapo.backbones import SD3Backbone

    shape = SIZES[size]
    torch.manual_seed(0)
    levels = len(shape["vae"]["block_out_channels"])
    kinds = {"down_block_types": ("DownEncoderBlock2D",) * levels, "up_block_types": ("UpDecoderBlock2D",) * levels}
    factors = {"scaling_factor": 1.5305, "shift_factor": 0.0609, "latent_channels": 16}
    with torch.device(device):
        parts = {
            "transformer": SD3Transformer2DModel(in_channels=16, out_channels=16, **shape["transformer"]),
            "vae": AutoencoderKL(**shape["vae"], **kinds, **factors, use_quant_conv=False, use_post_quant_conv=False),
        }
    for parameter in parts["transformer"].parameters():
        parameter.data = parameter.data.bfloat16()
    parts["scheduler"] = FlowMatchEulerDiscreteScheduler(shift=3.0)
    limits = {"resolution": shape["resolution"], "max_sequence_length": 256}
    return SD3Backbone(parts, path="random weights", device=device, **limits)


def clock(work, repeats: int, device: str) -> float:
    """Median seconds of `work()`, once run before."""
    import torch

    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    spent = []
    for _ in range(repeats + 1):
        wait()
        start = time.perf_counter()
        work()
        wait()
        spent.append(time.perf_counter() - start)
    return statistics.median(spent[1:])


KERNELS = ("FLASH_ATTENTION", "CUDNN_ATTENTION", "EFFICIENT_ATTENTION")
VARIANTS = {  # attention kernel (None: torch's choice), gradient checkpointing, torch.compile
    "plain": (None, False, False),
    "gradient checkpointing": (None, True, False),
    **{kernel.lower().replace("_", " "): (kernel, False, False) for kernel in KERNELS},
    "torch.compile": (None, False, True),
    "torch.compile and checkpointing": (None, True, True),
}


def step_seconds(
    size: str, batch: int, repeats: int, device: str, kernel: str | None, checkpointing: bool, compiled: bool
) -> float:
    """Median seconds of a DPO step with a cached reference and fused AdamW."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with tempfile.TemporaryDirectory() as folder:
        session, table, _ = sessions(load(size, device), batch, repeats, Path(folder), SIZES[size]["tokens"])
        session.reference, model = table, session.policy.model
        if checkpointing:
            model.enable_gradient_checkpointing()
        for block in model.transformer_blocks if compiled else ():
            block.compile()
        steps = iter(range(repeats + 1))
        try:
            with sdpa_kernel(getattr(SDPBackend, kernel)) if kernel else nullcontext():
                return clock(lambda: session.step(next(steps)), repeats, device)
        finally:
            for file in session.logs:
                file.close()


def step_flops(size: str, batch: int, device: str) -> int:
    """FLOPs of the policy's forward and backward pass in a step, as torch counts them."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from pnapo.training.points import errors_at

    backbone = load(size, device)
    with tempfile.TemporaryDirectory() as folder:
        session, _, _ = sessions(backbone, batch, 1, Path(folder), SIZES[size]["tokens"])
        points = session.batches.at(0, batch)
        with FlopCounterMode(display=False) as counter, torch.autocast(device, torch.bfloat16):
            errors_at(backbone, session.policy.model, points, 1.0).mean().backward()
        for file in session.logs:
            file.close()
    return counter.get_total_flops()


def training(size: str, batch: int, repeats: int, device: str, peak: float | None) -> dict:
    """Each variant's seconds a step, memory and utilisation, or why it does not run."""
    import torch

    flops, found = step_flops(size, batch, device), {}
    for name, variant in VARIANTS.items():
        if device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        try:
            seconds = step_seconds(size, batch, repeats, device, *variant)
        except RuntimeError as error:  # no such kernel on this machine, or out of memory
            found[name] = {"error": str(error).splitlines()[0][:120]}
            continue
        found[name] = {"seconds": round(seconds, 4), "pairs_per_second": round(batch / seconds, 2)}
        if device == "cuda":
            found[name]["peak_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 1)
        if peak:
            found[name]["flop_utilisation"] = round(flops / seconds / peak, 3)
    return {"batch": batch, "tera_flops_of_a_step": round(flops / 1e12, 3), "variants": found}


def generation(size: str, batch: int, steps: int, device: str) -> dict:
    """Seconds an image from noise to pixels, without guidance."""
    import torch

    from pnapo.pairs.sampler import sample

    backbone = load(size, device)
    pairs, embeddings = make_pairs(backbone, batch, SIZES[size]["tokens"])
    cond, latents = embeddings.rows(pairs.prompt_ids), pairs.x0_w
    sampled = clock(lambda: sample(backbone, pairs.xT_w, cond, steps=steps, batch=batch), 2, device)
    with torch.no_grad():
        decoded = clock(lambda: backbone.decode(latents, min(batch, 4)), 2, device)
    seconds = {"sampling": round(sampled / batch, 3), "decoding": round(decoded / batch, 3)}
    return {"batch": batch, "steps": steps, "seconds_per_image": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=list(SIZES), default="sd3-medium")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--batch", type=int, default=4, help="pairs of a training step; images made at once")
    parser.add_argument("--steps", type=int, default=28, help="of generation")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help="also write the JSON to this file")
    args = parser.parse_args()

    import torch

    if args.device == "cuda" and not torch.cuda.is_available():
        sys.exit("error: torch sees no GPU; this benchmark needs one (to try the script: --size small --device cpu)")
    name = torch.cuda.get_device_name() if args.device == "cuda" else "cpu"
    peak = next((value for key, value in PEAKS.items() if key in name), None)
    found = {
        "device": name,
        "torch": torch.__version__,
        "size": args.size,
        "training": training(args.size, args.batch, args.repeats, args.device, peak),
        "generation": generation(args.size, args.batch, args.steps, args.device),
    }
    text = json.dumps(found, indent=2)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(text + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()
