"""How each part of the world is made: the settings and seeds of `snakemake world`. Imports nothing heavy."""

_BASE = {"batch": 32, "learning_rate": 1.5e-3, "pool": 24000, "ema": 0.999, "dropout": 0.1, "seed": 0}
_CLIP = {"batch": 128, "learning_rate": 1e-3}
_VOTES = {"steps": 3500, "batch": 64, "learning_rate": 5e-4}

PARTS: dict[str, dict] = {
    "vae": {"steps": 12000, "batch": 8, "learning_rate": 2e-3, "kl_weight": 1e-4, "seed": 0},
    "sd3": {"phases": [{"steps": 14000, "shift": 1.0}], **_BASE},
    "flux": {"phases": [{"steps": 6000, "shift": 1.0}, {"steps": 5000, "shift": 3.0}], **_BASE},
    "clip": {"steps": 2500, "hard_steps": 900, "seed": 0, **_CLIP},
    "pickclip": {"steps": 900, "hard_steps": 800, "seed": 10, **_CLIP},
    "detoxify": {"steps": 400, "batch": 64, "learning_rate": 2e-3, "seed": 0},
    "samples_sd3": {"votes": 10000, "heldout": 600, "steps": 20, "seed": 100},
    "samples_flux": {"votes": 6000, "heldout": 600, "steps": 20, "seed": 200},
    "hps": {"seed": 1, **_VOTES},
    "pickscore": {"seed": 2, **_VOTES},
    "aesthetic": {"steps": 1500, "seed": 0},
}

# Which parts a part is made from.
NEEDS: dict[str, tuple[str, ...]] = {
    "sd3": ("vae",),
    "flux": ("vae",),
    "samples_sd3": ("sd3",),
    "samples_flux": ("flux",),
    "hps": ("clip", "samples_sd3", "samples_flux"),
    "pickscore": ("pickclip", "samples_sd3", "samples_flux"),
    "aesthetic": ("clip", "samples_sd3", "samples_flux"),
}

# What is shipped under assets/world; the other parts only serve to make these.
SHIPPED = ("sd3", "flux", "clip", "hps", "pickscore", "aesthetic", "detoxify")

# Modules whose change calls for making a part again.
CODE: dict[str, tuple[str, ...]] = {
    "vae": ("vae", "render", "scenes"),
    "sd3": ("bases", "text", "captions", "render", "scenes"),
    "flux": ("bases", "text", "captions", "render", "scenes"),
    "clip": ("clip", "text", "captions", "render", "scenes"),
    "pickclip": ("clip", "text", "captions", "render", "scenes"),
    "detoxify": ("safety", "raw_prompts", "captions", "scenes"),
    "samples_sd3": ("samples", "utility", "captions", "scenes"),
    "samples_flux": ("samples", "utility", "captions", "scenes"),
    "hps": ("preference", "clip", "text", "utility", "render"),
    "pickscore": ("preference", "clip", "text", "utility", "render"),
    "aesthetic": ("aesthetic", "clip", "utility", "render"),
}
