"""HPSv3 (MizzenAI/HPSv3, arXiv 2508.03789): Qwen2-VL-7B with a head that gives mean and deviation; the score is the mean.

Raw score: about 0–16, printed as it is. `model` is the folder of Qwen/Qwen2-VL-7B-Instruct (its processor and sizes), and
`checkpoint` the official `HPSv3.safetensors`.
"""

import os
import tempfile

from serve import serve


def load(settings):
    import torch
    import yaml
    from hpsv3 import HPSv3RewardInferencer, inference

    with open(os.path.join(inference._MODEL_CONFIG_PATH, "HPSv3_7B.yaml"), encoding="utf-8") as file:
        config = yaml.safe_load(file)
    with tempfile.TemporaryDirectory() as folder:  # the package's own settings, but for a local folder
        config.update(model_name_or_path=settings["model"], output_dir=folder, report_to="none")
        path = os.path.join(folder, "HPSv3_7B.yaml")
        with open(path, "w", encoding="utf-8") as file:
            yaml.safe_dump(config, file)
        scorer = HPSv3RewardInferencer(path, settings["checkpoint"], settings["device"])

    def score(paths, prompts):
        with torch.inference_mode():  # the package itself keeps gradients
            # By name: the package and its repository have these two in opposite orders.
            return scorer.reward(image_paths=paths, prompts=prompts)[:, 0].float().tolist()

    return score


if __name__ == "__main__":
    serve(load, {"hpsv3": "1.0.0", "transformers": "4.45.2"})
