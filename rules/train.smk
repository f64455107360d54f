# Training: one job for each run, backbone and seed. Over how many processes (on GPUs, one each) and nodes it is spread
# changes its results by rounding alone, so they are resources: no setting, and no reason to train again. A tracker changes
# nothing at all, and neither does who watches, but where trouble stops a training.
rule train:
    input:
        pairs=lambda wildcards: pair_set(own(wildcards).path, data_folder(own(wildcards))),
        labels=lambda wildcards: f"<results>/{label_table(own(wildcards))}",
        embeddings=lambda wildcards: f"<results>/embeddings/{{backbone}}/{own(wildcards).data or SELECTED}/manifest.json",
        reference=reference_visits,
        tuned=choice,
        weights=lambda wildcards: model_weights(wildcards.backbone),
        code=code("train", skip=["training/tracker.", "watch/"]),
    output:
        "<results>/runs/{backbone}/{run}-s{seed}/manifest.json",
    log:
        "<logs>/train/{backbone}/{run}-s{seed}.log",
    benchmark:
        "<benchmarks>/train/{backbone}/{run}-s{seed}.tsv"
    conda:
        "../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(2880),
        gpu=GPU,
        device=DEVICE,
        tracker=CONFIG.tracker,
        watch=as_json(CONFIG.watch.model_dump(exclude_defaults=True)),
        processes=1,
        nodes=1,
    params:
        model=model,
        run=lambda wildcards: as_json(run_of(wildcards)),
        draw_seed=lambda wildcards: draw_seed(CONFIG, own(wildcards).path, int(wildcards.seed)),
        reference=lambda wildcards, input: ["--reference", *input.reference] if input.reference else [],
        tuned=lambda wildcards, input: ["--tuned", input.tuned] if input.tuned else [],
    message:
        "Training {wildcards.backbone} with {wildcards.run}, seed {wildcards.seed}"
    shell:
        "python workflow_scripts/train.py"
        " --pairs {input.pairs:q}"
        " --labels {input.labels:q}"
        " --embeddings {input.embeddings:q}"
        " --model {params.model:q}"
        " --run {params.run:q}"
        " {params.reference:q}"
        " {params.tuned:q}"
        " --seed {wildcards.seed}"
        " --draw-seed {params.draw_seed}"
        " --device {resources.device}"
        " --tracker {resources.tracker}"
        " --watch {resources.watch:q}"
        " --log {log:q}"
        " --processes {resources.processes}"
        " --nodes {resources.nodes}"
        " --out {output:q}"
        " > {log:q} 2>&1"
