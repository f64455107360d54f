# Benchmarks: images of every policy on every test set with the same noises, then one score file for each metric.
rule write_testset:
    input:
        path=lambda wildcards: testset_files(wildcards.testset),
        code=code("write_testset"),
    output:
        "<results>/testsets/{testset}.parquet",
    log:
        "<logs>/testsets/{testset}.log",
    benchmark:
        "<benchmarks>/testsets/{testset}.tsv"
    conda:
        "../envs/prompts.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        settings=testset_settings("source", "path", "column", "category", "count"),
    message:
        "Writing the {wildcards.testset} test prompts"
    shell:
        "python workflow_scripts/write_testset.py"
        " --settings {params.settings:q}"
        " --out {output:q}"
        " > {log:q} 2>&1"


rule generate_images:
    input:
        testset="<results>/testsets/{testset}.parquet",
        embeddings="<results>/embeddings/{backbone}/{testset}/manifest.json",
        policy=policy_manifest,
        weights=lambda wildcards: model_weights(wildcards.backbone),
        code=code("generate_images"),
    output:
        "<results>/images/{backbone}/{policy}/{testset}/manifest.json",
    log:
        "<logs>/images/{backbone}/{policy}/{testset}.log",
    benchmark:
        "<benchmarks>/images/{backbone}/{policy}/{testset}.tsv"
    conda:
        "../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(720),
        gpu=GPU,
        device=DEVICE,
    params:
        model=model,
        settings=image_settings,
        policy=policy_options,
    message:
        "Making images of the {wildcards.testset} prompts with {wildcards.backbone} {wildcards.policy}"
    shell:
        "python workflow_scripts/generate_images.py"
        " --testset {input.testset:q}"
        " --embeddings {input.embeddings:q}"
        " --model {params.model:q}"
        " --settings {params.settings:q}"
        " {params.policy:q}"
        " --device {resources.device}"
        " --out {output:q}"
        " > {log:q} 2>&1"


rule score_images:
    input:
        images="<results>/images/{backbone}/{policy}/{testset}/manifest.json",
        testset="<results>/testsets/{testset}.parquet",
        weights=metric_weights,
        code=metric_code,
    output:
        "<results>/scores/{backbone}/{policy}/{testset}/{metric}.parquet",
    log:
        "<logs>/scores/{backbone}/{policy}/{testset}/{metric}.log",
    benchmark:
        "<benchmarks>/scores/{backbone}/{policy}/{testset}/{metric}.tsv"
    conda:
        "../envs/rewards.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(240),
        gpu=GPU,
        device=DEVICE,
    params:
        metric=metric_settings,
        reward=metric_reward,
    message:
        "Scoring the {wildcards.testset} images of {wildcards.backbone} {wildcards.policy} with {wildcards.metric}"
    shell:
        "python workflow_scripts/score_images.py"
        " --images {input.images:q}"
        " --testset {input.testset:q}"
        " --metric {params.metric:q}"
        " {params.reward:q}"
        " --device {resources.device}"
        " --out {output:q}"
        " > {log:q} 2>&1"
