# Image pairs from elsewhere: listed, then encoded into pair sets without noise, beside those that the model made.
rule read_dataset:
    input:
        files=lambda wildcards: dataset_files(wildcards.dataset),
        code=code("read_dataset"),
    output:
        pairs="<results>/prompts/datasets/{dataset}.pairs.parquet",
        prompts="<results>/prompts/datasets/{dataset}.parquet",
        labels="<results>/prompts/datasets/{dataset}.labels.parquet",
    log:
        "<logs>/datasets/{dataset}.log",
    benchmark:
        "<benchmarks>/datasets/{dataset}.tsv"
    conda:
        "../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        dataset=lambda wildcards: as_json(CONFIG.datasets[wildcards.dataset]),
    message:
        "Listing the pairs of {wildcards.dataset}"
    shell:
        "python workflow_scripts/read_dataset.py"
        " --files {input.files:q}"
        " --dataset {params.dataset:q}"
        " --prompts {output.prompts:q}"
        " --labels {output.labels:q}"
        " --out {output.pairs:q}"
        " > {log:q} 2>&1"


rule encode_dataset:
    input:
        pairs=rules.read_dataset.output.pairs,
        files=lambda wildcards: dataset_files(wildcards.dataset),
        weights=lambda wildcards: model_weights(wildcards.backbone),
        code=code("encode_dataset"),
    output:
        f"<results>/pairs/{{backbone}}/datasets/{{dataset}}/samples/shard-{{shard}}-of-{CONFIG.pairs.shards:05d}.json",
    log:
        "<logs>/pairs/{backbone}/datasets/{dataset}/shard-{shard}.log",
    benchmark:
        "<benchmarks>/pairs/{backbone}/datasets/{dataset}/shard-{shard}.tsv"
    conda:
        "../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(480),
        gpu=GPU,
        device=DEVICE,
    params:
        dataset=lambda wildcards: as_json(CONFIG.datasets[wildcards.dataset]),
        model=model,
        settings=settings(CONFIG.pairs, "shards", "batch"),
        shard=lambda wildcards: int(wildcards.shard),
    message:
        "Encoding the images of {wildcards.dataset} for {wildcards.backbone}, shard {wildcards.shard} of {CONFIG.pairs.shards}"
    shell:
        "python workflow_scripts/encode_dataset.py"
        " --pairs {input.pairs:q}"
        " --dataset {params.dataset:q}"
        " --model {params.model:q}"
        " --settings {params.settings:q}"
        " --shard {params.shard}"
        " --device {resources.device}"
        " --out {output:q}"
        " > {log:q} 2>&1"


use rule collect_pairs as collect_dataset with:
    input:
        shards=lambda wildcards: expand(rules.encode_dataset.output, shard=SHARDS, allow_missing=True),
        code=code("collect_pairs"),
    output:
        "<results>/pairs/{backbone}/datasets/{dataset}/manifest.json",
    log:
        "<logs>/pairs/{backbone}/datasets/{dataset}/collect.log",
    benchmark:
        "<benchmarks>/pairs/{backbone}/datasets/{dataset}/collect.tsv"
    params:
        settings=settings(CONFIG.pairs, "shards", "batch"),
        dataset=lambda wildcards: ["--dataset", as_json(CONFIG.datasets[wildcards.dataset])],
