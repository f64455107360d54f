"""How fast a list of images is scored, beside `hpsv2.score` called for each image as its README shows it.

Both judge the same pictures with the same random weights in HPSv2's own checkpoint format: the real ViT-H-14 if 16 GiB are
free, else a ViT-B-32 through the same code. Prints JSON.
"""

import argparse
import importlib.util
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path


def official(folder: Path):
    """hpsv2's `img_score` as installed, in a copy with the vocabulary that its wheel lacks."""
    import open_clip

    (installed,) = importlib.util.find_spec("hpsv2").submodule_search_locations
    shutil.copytree(installed, folder / "hpsv2")
    shutil.copy(Path(open_clip.__file__).with_name("bpe_simple_vocab_16e6.txt.gz"), folder / "hpsv2/src/open_clip")
    sys.path.insert(0, str(folder))
    import hpsv2.img_score

    return hpsv2.img_score


def pictures(count: int, side: int):
    """Smooth random pictures, uint8 [H, W, 3]."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)
    return [np.array(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)) for image in small]


def measure(model: str, count: int, side: int, device: str, root: Path) -> dict:
    """Seconds an image with hpsv2 and with ours, and how far their scores are apart."""
    import numpy as np
    import torch
    from PIL import Image

    from pnapo.artifacts.images import Images, encode_png, png_writer
    from pnapo.config.schema import Reward
    from pnapo.rewards import load_reward

    peer = official(root)
    peer.device = device
    prompts = [f"a picture of the number {number}" for number in range(count)]
    images, files = pictures(count, side), [root / f"{number}.png" for number in range(count)]
    for image, file in zip(images, files):
        Image.fromarray(image).save(file)
    with png_writer(root / "manifest.json", {}) as add:
        add(prompts, [0] * count, list(map(encode_png, images)))

    # What hpsv2.score does at its first call, but for the download of weights that its checkpoint replaces anyway.
    torch.manual_seed(0)
    network, _, transform = peer.create_model_and_transforms(
        model, precision="amp", device=device, light_augmentation=True, output_dict=True
    )
    peer.model_dict.update(model=network, preprocess_val=transform)
    checkpoint = root / "HPS_v2.1_compressed.pt"
    torch.save({"state_dict": network.state_dict()}, checkpoint)

    start = time.perf_counter()
    theirs = [peer.score(str(file), text, cp=str(checkpoint))[0] for file, text in zip(files, prompts)]
    seconds = {"hpsv2": (time.perf_counter() - start) / count}
    peer.model_dict.clear()
    del network

    began = time.perf_counter()
    scorer = load_reward(Reward(kind="hps", model=model, checkpoint=str(checkpoint), batch=min(count, 16)), device)
    start = time.perf_counter()
    stored = Images(root / "manifest.json")
    ours = np.concatenate(list(scorer.score_prepared(stored.map(scorer.prepare), prompts)))
    seconds["ours"] = (time.perf_counter() - start) / count
    return {
        "model": model,
        "parameters": sum(p.numel() for p in scorer.clip.network.parameters()),
        "images": count,
        "side": side,
        "device": device,
        "seconds_per_image": {name: round(value, 3) for name, value in seconds.items()},
        "seconds_to_load_once": round(start - began, 2),
        "ratio": round(seconds["hpsv2"] / seconds["ours"], 2),
        "largest_difference": float(np.abs(ours - np.array(theirs, np.float32)).max()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="an open_clip architecture")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--side", type=int, default=1024, help="of a picture, in pixels")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    args = parser.parse_args()

    import psutil
    import torch

    from pnapo.scripting import limit_threads

    limit_threads()
    model = args.model or ("ViT-H-14" if psutil.virtual_memory().available > 16 << 30 else "ViT-B-32")
    with tempfile.TemporaryDirectory() as folder:
        found = measure(model, args.images, args.side, args.device, Path(folder))
    print(json.dumps({**found, "torch": torch.__version__}, indent=2))


if __name__ == "__main__":
    main()
