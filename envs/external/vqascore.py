"""VQAScore (linzhiqiu/t2v_metrics, arXiv 2404.01291): the probability of "Yes" to "Does this figure show …?".

Raw score: 0–1. `model` is a name the package knows (`clip-flant5-xxl`, the paper's); its weights come from the hub's cache
(HF_HOME): zhiqiulin/clip-flant5-xxl, google/flan-t5-xxl and openai/clip-vit-large-patch14-336.
"""

from serve import serve


def load(settings):
    import t2v_metrics
    import torch
    from huggingface_hub.constants import HF_HUB_CACHE

    scorer = t2v_metrics.VQAScore(model=settings["model"], device=settings["device"], cache_dir=HF_HUB_CACHE)

    def score(paths, prompts):
        asked = [{"images": [path], "texts": [prompt]} for path, prompt in zip(paths, prompts)]
        with torch.inference_mode():
            return scorer.batch_forward(dataset=asked, batch_size=len(asked))[:, 0, 0].float().tolist()

    return score


if __name__ == "__main__":
    serve(load, {"t2v-metrics": "1.2", "transformers": "4.36.1"})
