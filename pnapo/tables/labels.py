"""Names for people: what runs, metrics, test sets and tasks are called in tables and figures. CSV keeps its names."""

_NAMES = {
    # runs
    "base": "base",
    "sft": "SFT",
    "diffusion_dpo": "Diffusion-DPO",
    "pnapo": "PNAPO",
    "sft_tracked": "SFT, stored noise",
    "ipo": "IPO",
    "capo": "CaPO",
    "capo_rewards": "CaPO, two rewards",
    "diffusion_kto": "Diffusion-KTO",
    "mapo": "MaPO",
    "dense_reward": "Dense reward",
    "diffusion_sdpo": "Diffusion-SDPO",
    "linear_dpo": "Linear-DPO",
    "inversion_dpo_published": "Inversion-DPO (published)",
    "diffusion_npo": "Diffusion-NPO",
    "self_npo": "Self-NPO",
    "inpo_rf": "InPO (RF)",
    "smpo_rf": "SmPO (RF)",
    "pnapo_independent": "PNAPO, fresh noise",
    "pnapo_shuffled": "PNAPO, another's noise",
    "pnapo_inverted": "PNAPO, inverted noise",
    "pnapo_no_f": "PNAPO without f",
    "pnapo_no_g": "PNAPO without g",
    "pnapo_constant": "PNAPO without f and g",
    "pnapo_raw": "PNAPO, raw gaps",
    "pnapo_auto": "PNAPO, gaps scaled to f = ½",
    "pnapo_early": "PNAPO, early g",
    "pnapo_late": "PNAPO, late g",
    "pnapo_beta_30": "PNAPO, β 30",
    "pnapo_beta_3000": "PNAPO, β 3000",
    "pnapo_full": "PNAPO, all weights",
    "pnapo_half": "PNAPO, half the pairs",
    "pnapo_clear": "PNAPO, clear pairs",
    # metrics
    "hps": "HPS",
    "hps_v2": "HPSv2.0",
    "hpsv3": "HPSv3",
    "mps": "MPS",
    "vqascore": "VQAScore",
    "pickscore": "PickScore",
    "clip": "CLIP score",
    "aesthetic": "Aesthetic",
    "aesthetic_v1": "Aesthetic v1",
    "imagereward": "ImageReward",
    "utility": "True utility",
    "geneval": "GenEval",
    "geneval_hf": "GenEval-HF",
    # preferences by several rewards
    "hps_aesthetic": "HPS and aesthetic",
    # test sets
    "heldout": "Held-out prompts",
    "freeform": "Free-form prompts",
    "opdv1": "OPDv1",
    "hpdv2": "HPDv2",
    # backbones
    "sd3": "SD3",
    "flux": "FLUX",
    "sd3_medium": "SD3-M",
    "flux_dev": "FLUX.1-dev",
    "any": "any model",
    # GenEval's tasks
    "single_object": "single object",
    "two_object": "two objects",
    "color_attr": "colour attribution",
    "colors": "colours",
    # columns
    "cpu_hours": "CPU hours",
    "gpu_hours": "GPU hours",
    "published_gpu_hours": "published GPU hours",
    "peak_memory_mb": "peak memory, MB",
    "pairs_seen": "pairs seen",
    "forward_passes": "forward passes",
}


def label(name: str) -> str:
    """The name for people; one that nobody knows follows the longest known beginning, spaces instead of underscores."""
    known = max((n for n in _NAMES if name == n or name.startswith(f"{n}_")), key=len, default="")
    rest = name[len(known) :].strip("_").replace("_", " ")
    return ", ".join(part for part in (_NAMES.get(known, ""), rest) if part) if known else rest


def testset_label(name: str) -> str:
    """The same for a test set: GenEval's prompts are not GenEval's score."""
    return "GenEval prompts" if name == "geneval" else label(name)
