"""How each part of the world is made: the settings and seeds of `snakemake world`. Imports nothing heavy."""

PARTS: dict[str, dict] = {
    "vae": {"steps": 12000, "batch": 8, "learning_rate": 2e-3, "kl_weight": 1e-4, "seed": 0},
    "sd3": {
        "steps": 14000,
        "batch": 32,
        "learning_rate": 1.5e-3,
        "pool": 24000,
        "ema": 0.999,
        "dropout": 0.1,
        "seed": 0,
    },
    "flux": {
        "steps": 14000,
        "batch": 32,
        "learning_rate": 1.5e-3,
        "pool": 24000,
        "ema": 0.999,
        "dropout": 0.1,
        "seed": 0,
    },
    "clip": {"steps": 2500, "batch": 128, "learning_rate": 1e-3, "seed": 0},
    "pickclip": {"steps": 1500, "batch": 128, "learning_rate": 1e-3, "seed": 10},
    "detoxify": {"steps": 400, "batch": 64, "learning_rate": 2e-3, "seed": 0},
    "samples_sd3": {"count": 3000, "heldout": 600, "steps": 20, "seed": 100},
    "samples_flux": {"count": 3000, "heldout": 600, "steps": 20, "seed": 200},
    "hps": {"steps": 1200, "batch": 64, "learning_rate": 3e-4, "seed": 1},
    "pickscore": {"steps": 1200, "batch": 64, "learning_rate": 3e-4, "seed": 2},
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
    "aesthetic": ("clip", "samples_sd3"),
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
    "hps": ("preference", "clip", "utility"),
    "pickscore": ("preference", "clip", "utility"),
    "aesthetic": ("aesthetic", "utility"),
}
