# The frozen reference's errors: one job for each visit of the pair set, path, distribution of t and training seed, which has
# draws of its own. Runs share them, whatever their loss, schedule, β, learning rate, rank or reward (`reference_visits` in
# helpers/runs.smk).
from pnapo.flow.times import TIMES
from pnapo.objectives.paths import PATHS


rule cache_reference:
    input:
        pairs=lambda wildcards: pair_set(wildcards.path, wildcards.data),
        embeddings=embeddings_of,
        weights=lambda wildcards: model_weights(wildcards.backbone),
        code=code("cache_reference"),
    output:
        "<results>/reference/{backbone}{data}/{path}-{time_sampling}-s{seed}/visit-{visit}.json",
    log:
        "<logs>/reference/{backbone}{data}/{path}-{time_sampling}-s{seed}/visit-{visit}.log",
    benchmark:
        "<benchmarks>/reference/{backbone}{data}/{path}-{time_sampling}-s{seed}/visit-{visit}.tsv"
    wildcard_constraints:
        path=one_of(PATHS),
        time_sampling=one_of(TIMES),
        visit=r"\d{4}",
    conda:
        "../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(1440),
        gpu=GPU,
        device=DEVICE,
    params:
        model=model,
        draw_seed=lambda wildcards: draw_seed(CONFIG, wildcards.path, int(wildcards.seed)),
        visit=lambda wildcards: int(wildcards.visit),
    message:
        "Taking the errors of {wildcards.backbone} itself{wildcards.data} on the {wildcards.path} path, {wildcards.time_sampling}, seed {wildcards.seed}, visit {wildcards.visit}"
    shell:
        "python workflow_scripts/cache_reference.py"
        " --pairs {input.pairs:q}"
        " --embeddings {input.embeddings:q}"
        " --model {params.model:q}"
        " --path {wildcards.path}"
        " --time-sampling {wildcards.time_sampling}"
        " --draw-seed {params.draw_seed}"
        " --visit {params.visit}"
        " --device {resources.device}"
        " --out {output:q}"
        " > {log:q} 2>&1"
