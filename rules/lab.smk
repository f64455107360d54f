# The laboratory: what is measured on models and pairs to judge the paper's claims. `snakemake geometry` asks for it.
rule measure_geometry:
    input:
        pairs="<results>/pairs/{backbone}/manifest.json",
        inverted="<results>/pairs/{backbone}/inverted/manifest.json",
        embeddings="<results>/embeddings/{backbone}/selected/manifest.json",
        weights=lambda wildcards: model_weights(wildcards.backbone),
        code=code("measure_geometry"),
    output:
        "<results>/lab/{backbone}/geometry.parquet",
    log:
        "<logs>/lab/{backbone}/geometry.log",
    benchmark:
        "<benchmarks>/lab/{backbone}/geometry.tsv"
    conda:
        "../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(240),
        gpu=GPU,
        device=DEVICE,
    params:
        model=model,
        prompts=CONFIG.lab.prompts,
        seed=CONFIG.seed,
    message:
        "Comparing trajectories of {wildcards.backbone} with the paths"
    shell:
        "python workflow_scripts/measure_geometry.py"
        " --pairs {input.pairs:q}"
        " --inverted {input.inverted:q}"
        " --embeddings {input.embeddings:q}"
        " --model {params.model:q}"
        " --prompts {params.prompts}"
        " --seed {params.seed}"
        " --device {resources.device}"
        " --out {output:q}"
        " > {log:q} 2>&1"


rule measure_gradients:
    input:
        pairs="<results>/pairs/{backbone}/manifest.json",
        inverted="<results>/pairs/{backbone}/inverted/manifest.json",
        labels=f"<results>/pairs/{{backbone}}/labels/{CONFIG.lab.reward}.parquet",
        embeddings="<results>/embeddings/{backbone}/selected/manifest.json",
        weights=lambda wildcards: model_weights(wildcards.backbone),
        code=code("measure_gradients"),
    output:
        "<results>/lab/{backbone}/gradients.json",
    log:
        "<logs>/lab/{backbone}/gradients.log",
    benchmark:
        "<benchmarks>/lab/{backbone}/gradients.tsv"
    conda:
        "../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(240),
        gpu=GPU,
        device=DEVICE,
    params:
        model=model,
        policy=gradient_options,
        number=CONFIG.lab.gradients,
        seed=CONFIG.seed,
    message:
        "Measuring the gradients of pairs of {wildcards.backbone} on each path"
    shell:
        "python workflow_scripts/measure_gradients.py"
        " --pairs {input.pairs:q}"
        " --labels {input.labels:q}"
        " --embeddings {input.embeddings:q}"
        " --model {params.model:q}"
        " {params.policy:q}"
        " --count {params.number}"
        " --seed {params.seed}"
        " --device {resources.device}"
        " --out {output:q}"
        " > {log:q} 2>&1"


# The same for a trained policy: snakemake results/lab/sd3/gradients-pnapo-s0.json
use rule measure_gradients as measure_policy_gradients with:
    input:
        **{name: value for name, value in rules.measure_gradients.input.items() if name != "inverted"},
        policy=policy_manifest,
    output:
        "<results>/lab/{backbone}/gradients-{policy}.json",
    log:
        "<logs>/lab/{backbone}/gradients-{policy}.log",
    benchmark:
        "<benchmarks>/lab/{backbone}/gradients-{policy}.tsv"
    message:
        "Measuring the gradients of pairs of {wildcards.backbone} {wildcards.policy} on each path"


rule geometry_table:
    input:
        geometry=expand(rules.measure_geometry.output, backbone=judged()),
        gradients=expand(rules.measure_gradients.output, backbone=judged()),
        code=code("geometry_table"),
    output:
        csv=report("<results>/tables/geometry.csv", category="Tables", subcategory="geometry"),
        md="<results>/tables/geometry.md",
        tex="<results>/tables/geometry.tex",
        manifest="<results>/tables/geometry.manifest.json",
    log:
        "<logs>/tables/geometry.log",
    benchmark:
        "<benchmarks>/tables/geometry.tsv"
    conda:
        "../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        folders=[f"{CONFIG.results}/lab/{backbone}" for backbone in judged()],
        statistics=settings(CONFIG.statistics),
    message:
        "Making the table of paths"
    shell:
        "python workflow_scripts/geometry_table.py"
        " --lab {params.folders:q}"
        " --statistics {params.statistics:q}"
        " --out {output.csv:q}"
        " > {log:q} 2>&1"
