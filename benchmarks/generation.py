"""How fast images of a prompt list are made, beside a diffusers pipeline called for each prompt.

Both start from the embedded world's SD3 on disk and end with PNGs on disk, with the same noises and as many steps; prints
JSON with the seconds of each part.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

MODEL = "assets/world/sd3"


def measure(count: int, steps: int, device: str, root: Path) -> dict:
    """Seconds an image of the pipeline and of ours, and how far their pixels are apart."""
    import numpy as np
    import torch
    from diffusers import StableDiffusion3Pipeline

    from pnapo.artifacts import write_table
    from pnapo.artifacts.images import Images
    from pnapo.backbones import load_backbone
    from pnapo.benchmarks.generation import generate_images
    from pnapo.config.schema import Model, TestSet
    from pnapo.flow.random import prior_noise
    from pnapo.pairs.embeddings import read_embeddings, write_embeddings
    from pnapo.world.testsets import write_list

    table = write_list("heldout", count)
    write_table(root / "prompts.parquet", table)
    pipeline = StableDiffusion3Pipeline.from_pretrained(MODEL, dtype=torch.float32).to(device)
    pipeline.set_progress_bar_config(disable=True)
    start, theirs = time.perf_counter(), []
    for prompt_id, prompt in zip(table["prompt_id"], table["prompt"]):
        noise = torch.from_numpy(prior_noise(1, prompt_id, 0, (12, 8, 8)))[None].to(device)
        image = pipeline(
            prompt,
            latents=noise,
            num_inference_steps=steps,
            guidance_scale=1.0,
            height=32,
            width=32,
            max_sequence_length=20,
        ).images[0]
        image.save(root / f"{prompt_id}.png")
        theirs.append(np.array(image))
    seconds = {"pipeline": time.perf_counter() - start}

    model = Model(family="sd3", path=MODEL, resolution=32, max_sequence_length=20)
    backbone = load_backbone(model, {"text", "transformer", "vae"}, device)
    start = time.perf_counter()
    write_embeddings(backbone, root / "prompts.parquet", root / "embeddings" / "manifest.json")
    embeddings = read_embeddings(root / "embeddings" / "manifest.json")
    settings = TestSet(source="heldout", steps=steps, seed=1)
    generate_images(backbone, table, embeddings, settings, root / "images" / "manifest.json", lambda line: None)
    seconds["ours"] = time.perf_counter() - start
    ours = np.stack(list(Images(root / "images" / "manifest.json")))
    return {
        "images": count,
        "steps": steps,
        "device": device,
        "seconds_per_image": {name: round(value / count, 4) for name, value in seconds.items()},
        "ratio": round(seconds["pipeline"] / seconds["ours"], 2),
        "largest_difference": int(np.abs(ours.astype(int) - np.stack(theirs)).max()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    args = parser.parse_args()

    from pnapo.scripting import limit_threads

    limit_threads()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(args.images, args.steps, args.device, Path(folder)), indent=2))


if __name__ == "__main__":
    main()
