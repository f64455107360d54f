# Labels: the score of every sample by every reward, and from them winner, loser and gap.
rule label_pairs:
    input:
        pairs="<results>/pairs/{backbone}/manifest.json",
        images=lambda wildcards: expand(rules.decode_pairs.output, shard=SHARDS, allow_missing=True),
        prompts="<results>/prompts/selected.parquet",
        weights=lambda wildcards: reward_weights(wildcards.reward),
        code=lambda wildcards: reward_code("label_pairs", wildcards.reward),
    output:
        "<results>/pairs/{backbone}/labels/{reward}.parquet",
    log:
        "<logs>/labels/{backbone}/{reward}.log",
    benchmark:
        "<benchmarks>/labels/{backbone}/{reward}.tsv"
    conda:
        "../envs/rewards.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=480,
        gpu=GPU,
        device=DEVICE,
    params:
        reward=lambda wildcards: as_json(CONFIG.rewards[wildcards.reward]),
    message:
        "Scoring the pairs of {wildcards.backbone} with {wildcards.reward} and naming winners and losers"
    shell:
        "python workflow_scripts/label_pairs.py"
        " --pairs {input.pairs:q}"
        " --images {input.images:q}"
        " --prompts {input.prompts:q}"
        " --reward {params.reward:q}"
        " --device {resources.device}"
        " --out {output:q}"
        " > {log:q} 2>&1"
