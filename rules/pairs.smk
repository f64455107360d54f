# Noise-image pairs: prompt embeddings, then images of each prompt by the base model with their prior noises.
rule embed_prompts:
    input:
        prompts=lambda wildcards: prompt_list(wildcards.list),
        weights=lambda wildcards: model_weights(wildcards.backbone),
        code=code("embed_prompts"),
    output:
        "<results>/embeddings/{backbone}/{list}/manifest.json",
    log:
        "<logs>/embeddings/{backbone}/{list}.log",
    benchmark:
        "<benchmarks>/embeddings/{backbone}/{list}.tsv"
    conda:
        "../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(120),
        gpu=GPU,
        device=DEVICE,
    params:
        model=model,
    message:
        "Embedding the {wildcards.list} prompts for {wildcards.backbone}"
    shell:
        "python workflow_scripts/embed_prompts.py"
        " --prompts {input.prompts:q}"
        " --model {params.model:q}"
        " --device {resources.device}"
        " --out {output:q}"
        " > {log:q} 2>&1"


rule generate_pairs:
    input:
        prompts="<results>/prompts/selected.parquet",
        embeddings="<results>/embeddings/{backbone}/selected/manifest.json",
        weights=lambda wildcards: model_weights(wildcards.backbone),
        code=code("generate_pairs"),
    output:
        f"<results>/pairs/{{backbone}}/samples/shard-{{shard}}-of-{CONFIG.pairs.shards:05d}.json",
    log:
        "<logs>/pairs/{backbone}/shard-{shard}.log",
    benchmark:
        "<benchmarks>/pairs/{backbone}/shard-{shard}.tsv"
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
        settings=lambda wildcards: as_json(pairs_of(CONFIG, wildcards.backbone)),
        shard=lambda wildcards: int(wildcards.shard),
    message:
        "Drawing prior noises and making images with {wildcards.backbone}, shard {wildcards.shard} of {CONFIG.pairs.shards}"
    shell:
        "python workflow_scripts/generate_pairs.py"
        " --prompts {input.prompts:q}"
        " --embeddings {input.embeddings:q}"
        " --model {params.model:q}"
        " --settings {params.settings:q}"
        " --shard {params.shard}"
        " --device {resources.device}"
        " --out {output:q}"
        " > {log:q} 2>&1"


rule collect_pairs:
    input:
        shards=lambda wildcards: expand(rules.generate_pairs.output, shard=SHARDS, allow_missing=True),
        code=code("collect_pairs"),
    output:
        "<results>/pairs/{backbone}/manifest.json",
    log:
        "<logs>/pairs/{backbone}/collect.log",
    benchmark:
        "<benchmarks>/pairs/{backbone}/collect.tsv"
    conda:
        "../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        settings=lambda wildcards: as_json(pairs_of(CONFIG, wildcards.backbone)),
        dataset=[],
    message:
        "Checking the shards of {wildcards.backbone} and listing them as one pair set"
    shell:
        "python workflow_scripts/collect_pairs.py"
        " --shards {input.shards:q}"
        " --settings {params.settings:q}"
        " {params.dataset:q}"
        " --out {output:q}"
        " > {log:q} 2>&1"


# For runs on the path `inverted`: the same latents, with the noises that inversion finds.
rule invert_pairs:
    input:
        shard=f"<results>/pairs/{{backbone}}{{data}}/samples/shard-{{shard}}-of-{CONFIG.pairs.shards:05d}.json",
        embeddings=embeddings_of,
        weights=lambda wildcards: model_weights(wildcards.backbone),
        code=code("invert_pairs"),
    output:
        f"<results>/pairs/{{backbone}}{{data}}/inverted/shard-{{shard}}-of-{CONFIG.pairs.shards:05d}.json",
    log:
        "<logs>/pairs/{backbone}{data}/inverted-{shard}.log",
    benchmark:
        "<benchmarks>/pairs/{backbone}{data}/inverted-{shard}.tsv"
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
        settings=settings(CONFIG.inversion),
    message:
        "Inverting the latents of {wildcards.backbone}{wildcards.data}, shard {wildcards.shard} of {CONFIG.pairs.shards}"
    shell:
        "python workflow_scripts/invert_pairs.py"
        " --shard {input.shard:q}"
        " --embeddings {input.embeddings:q}"
        " --model {params.model:q}"
        " --settings {params.settings:q}"
        " --device {resources.device}"
        " --out {output:q}"
        " > {log:q} 2>&1"


use rule collect_pairs as collect_inverted with:
    input:
        shards=lambda wildcards: expand(rules.invert_pairs.output, shard=SHARDS, allow_missing=True),
        code=code("collect_pairs"),
    output:
        "<results>/pairs/{backbone}{data}/inverted/manifest.json",
    log:
        "<logs>/pairs/{backbone}{data}/collect-inverted.log",
    benchmark:
        "<benchmarks>/pairs/{backbone}{data}/collect-inverted.tsv"
    params:
        settings=lambda wildcards: as_json(pairs_of(CONFIG, wildcards.backbone)),
        dataset=lambda wildcards: (
            ["--dataset", as_json(CONFIG.datasets[list_of(wildcards.data)])] if wildcards.data else []
        ),


# For runs on the path `truncated`: the same noises, rolled out up to a time of each prompt's own.
rule truncate_pairs:
    input:
        shard=rules.generate_pairs.output,
        embeddings="<results>/embeddings/{backbone}/selected/manifest.json",
        weights=lambda wildcards: model_weights(wildcards.backbone),
        code=code("truncate_pairs"),
    output:
        f"<results>/pairs/{{backbone}}/truncated/shard-{{shard}}-of-{CONFIG.pairs.shards:05d}.json",
    log:
        "<logs>/pairs/{backbone}/truncated-{shard}.log",
    benchmark:
        "<benchmarks>/pairs/{backbone}/truncated-{shard}.tsv"
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
        settings=settings(CONFIG.truncation),
        draw_seed=CONFIG.seed,
    message:
        "Rolling out the noises of {wildcards.backbone}, shard {wildcards.shard} of {CONFIG.pairs.shards}"
    shell:
        "python workflow_scripts/truncate_pairs.py"
        " --shard {input.shard:q}"
        " --embeddings {input.embeddings:q}"
        " --model {params.model:q}"
        " --settings {params.settings:q}"
        " --draw-seed {params.draw_seed}"
        " --device {resources.device}"
        " --out {output:q}"
        " > {log:q} 2>&1"


use rule collect_pairs as collect_truncated with:
    input:
        shards=lambda wildcards: expand(rules.truncate_pairs.output, shard=SHARDS, allow_missing=True),
        code=code("collect_pairs"),
    output:
        "<results>/pairs/{backbone}/truncated/manifest.json",
    log:
        "<logs>/pairs/{backbone}/collect-truncated.log",
    benchmark:
        "<benchmarks>/pairs/{backbone}/collect-truncated.tsv"


rule decode_pairs:
    input:
        shard=f"<results>/pairs/{{backbone}}{{data}}/samples/shard-{{shard}}-of-{CONFIG.pairs.shards:05d}.json",
        weights=lambda wildcards: model_weights(wildcards.backbone),
        code=code("decode_pairs"),
    output:
        f"<results>/pairs/{{backbone}}{{data}}/images/{{shard}}-of-{CONFIG.pairs.shards:05d}/manifest.json",
    log:
        "<logs>/pairs/{backbone}{data}/images-{shard}.log",
    benchmark:
        "<benchmarks>/pairs/{backbone}{data}/images-{shard}.tsv"
    conda:
        "../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(480),
        gpu=GPU,
        device=DEVICE,
    params:
        model=model,
    message:
        "Decoding the images of {wildcards.backbone}{wildcards.data}, shard {wildcards.shard} of {CONFIG.pairs.shards}"
    shell:
        "python workflow_scripts/decode_pairs.py"
        " --shard {input.shard:q}"
        " --model {params.model:q}"
        " --device {resources.device}"
        " --out {output:q}"
        " > {log:q} 2>&1"
