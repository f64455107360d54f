"""PickScore against transformers' own CLIPModel."""

import json
import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import CLIPModel, CLIPProcessor

from pnapo.rewards import load_reward


def test_the_score_is_the_models_logit_over_its_scale(rewards, examples):
    folder = rewards["pickscore"].model
    model, processor = CLIPModel.from_pretrained(folder).eval(), CLIPProcessor.from_pretrained(folder)
    expected = []
    for image, prompt in zip(examples.images, examples.prompts):
        inputs = processor(
            text=[prompt], images=Image.fromarray(image), truncation=True, max_length=24, return_tensors="pt"
        )
        with torch.no_grad():
            expected.append(float(model(**inputs).logits_per_image / model.logit_scale.exp()))
    scorer = load_reward(rewards["pickscore"])
    scores = scorer.score(examples.images, examples.prompts)
    assert scorer.display_scale == 100 and scores.dtype == np.float32 and np.ptp(scores) > 0.01
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_the_image_processor_in_the_published_file_prepares_alike(rewards, examples, tmp_path):
    """preprocessor_config.json, where today's library writes processor_config.json."""
    folder = shutil.copytree(rewards["pickscore"].model, tmp_path / "published")
    written = folder / "processor_config.json"
    told = json.loads(written.read_text("utf-8"))["image_processor"]
    Path(folder, "preprocessor_config.json").write_text(json.dumps(told), "utf-8")
    written.unlink()
    ours, theirs = (
        load_reward(rewards["pickscore"]),
        load_reward(rewards["pickscore"].model_copy(update={"model": str(folder)})),
    )
    assert (
        theirs.score(examples.images, examples.prompts).tolist()
        == ours.score(examples.images, examples.prompts).tolist()
    )
