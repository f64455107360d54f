# Labels: the score of every sample by every reward, and from them winner, loser and gap.
rule label_pairs:
    input:
        pairs="<results>/pairs/{backbone}{data}/manifest.json",
        images=lambda wildcards: expand(rules.decode_pairs.output, shard=SHARDS, allow_missing=True),
        prompts=lambda wildcards: prompt_list(list_of(wildcards.data)),
        weights=lambda wildcards: reward_weights(wildcards.reward),
        code=lambda wildcards: reward_code("label_pairs", wildcards.reward),
    output:
        "<results>/pairs/{backbone}{data}/labels/{reward}.parquet",
    log:
        "<logs>/labels/{backbone}{data}/{reward}.log",
    benchmark:
        "<benchmarks>/labels/{backbone}{data}/{reward}.tsv"
    conda:
        "../envs/rewards.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(480),
        gpu=GPU,
        device=DEVICE,
    params:
        reward=lambda wildcards: as_json(CONFIG.rewards[wildcards.reward]),
    message:
        "Scoring the pairs of {wildcards.backbone}{wildcards.data} with {wildcards.reward} and naming winners and losers"
    shell:
        "python workflow_scripts/label_pairs.py"
        " --pairs {input.pairs:q}"
        " --images {input.images:q}"
        " --prompts {input.prompts:q}"
        " --reward {params.reward:q}"
        " --device {resources.device}"
        " --out {output:q}"
        " > {log:q} 2>&1"


# The same of several rewards at once, from the labels of each.
rule calibrate_labels:
    input:
        labels=lambda wildcards: expand(
            rules.label_pairs.output,
            reward=sorted(CONFIG.preferences[wildcards.preference].rewards),
            allow_missing=True,
        ),
        code=code("calibrate_labels"),
    output:
        "<results>/pairs/{backbone}{data}/labels/{preference}.parquet",
    log:
        "<logs>/labels/{backbone}{data}/{preference}.log",
    benchmark:
        "<benchmarks>/labels/{backbone}{data}/{preference}.tsv"
    conda:
        "../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        preference=lambda wildcards: as_json(CONFIG.preferences[wildcards.preference]),
    message:
        "Naming winners and losers of {wildcards.backbone}{wildcards.data} by {wildcards.preference}"
    shell:
        "python workflow_scripts/calibrate_labels.py"
        " --labels {input.labels:q}"
        " --preference {params.preference:q}"
        " --out {output:q}"
        " > {log:q} 2>&1"
