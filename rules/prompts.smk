# From raw prompts to training prompts (paper, section 4.1). Each step keeps what it removed, for the funnel table.
PROMPTS = CONFIG.prompts
WORLD_SOURCE = PROMPTS.source.path is None
SCORED = PROMPTS.safety.kind == "column"  # the list says how unsafe a prompt is, and no model has to
STEPS = ("safe", "unique", "distinct")


rule write_source:
    input:
        code=code("write_source"),
    output:
        source="<results>/prompts/source.parquet",
        truth="<results>/prompts/truth.parquet",
    log:
        "<logs>/prompts/write_source.log",
    benchmark:
        "<benchmarks>/prompts/write_source.tsv"
    conda:
        "../envs/prompts.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        settings=settings(PROMPTS.source, "rows", "seed"),
    message:
        "Writing the embedded world's raw prompts"
    shell:
        "python workflow_scripts/write_source.py"
        " --settings {params.settings:q}"
        " --truth {output.truth:q}"
        " --out {output.source:q}"
        " > {log:q} 2>&1"


rule read_source:
    input:
        source="<results>/prompts/source.parquet" if WORLD_SOURCE else files_of(PROMPTS.source.path),
        code=code("read_source"),
    output:
        "<results>/prompts/all.parquet",
    log:
        "<logs>/prompts/read_source.log",
    benchmark:
        "<benchmarks>/prompts/read_source.tsv"
    conda:
        "../envs/prompts.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        settings=settings(PROMPTS.source, "path", "column"),
        world_source=lambda wildcards, input: ["--world-source", input.source] if WORLD_SOURCE else [],
        score=["--score", PROMPTS.safety.column] if SCORED else [],
    message:
        "Reading the raw prompts"
    shell:
        "python workflow_scripts/read_source.py"
        " --settings {params.settings:q}"
        " {params.world_source:q}"
        " {params.score:q}"
        " --out {output:q}"
        " > {log:q} 2>&1"


rule filter_unsafe:
    input:
        prompts="<results>/prompts/all.parquet",
        weights=[] if SCORED else weights(PROMPTS.safety.checkpoint, PROMPTS.safety.config_path),
        code=code("filter_unsafe"),
    output:
        kept="<results>/prompts/safe.parquet",
        removed="<results>/prompts/safe.removed.parquet",
    log:
        "<logs>/prompts/filter_unsafe.log",
    benchmark:
        "<benchmarks>/prompts/filter_unsafe.tsv"
    conda:
        "../envs/prompts.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(240),
        gpu=GPU if not SCORED else 0,
        device=DEVICE,
    params:
        settings=settings(PROMPTS.safety),
    message:
        "Removing unsafe prompts"
    shell:
        "python workflow_scripts/filter_unsafe.py"
        " --prompts {input.prompts:q}"
        " --settings {params.settings:q}"
        " --device {resources.device}"
        " --removed {output.removed:q}"
        " --out {output.kept:q}"
        " > {log:q} 2>&1"


rule drop_near_duplicates:
    input:
        prompts="<results>/prompts/safe.parquet",
        code=code("drop_near_duplicates"),
    output:
        kept="<results>/prompts/unique.parquet",
        removed="<results>/prompts/unique.removed.parquet",
    log:
        "<logs>/prompts/drop_near_duplicates.log",
    benchmark:
        "<benchmarks>/prompts/drop_near_duplicates.tsv"
    conda:
        "../envs/prompts.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(240),
    params:
        settings=settings(PROMPTS.near_duplicates),
    message:
        "Removing prompts that repeat another almost word for word"
    shell:
        "python workflow_scripts/drop_near_duplicates.py"
        " --prompts {input.prompts:q}"
        " --settings {params.settings:q}"
        " --removed {output.removed:q}"
        " --out {output.kept:q}"
        " > {log:q} 2>&1"


rule drop_semantic_duplicates:
    input:
        prompts="<results>/prompts/unique.parquet",
        weights=weights(PROMPTS.semantic.clip, PROMPTS.semantic.pretrained),
        code=code("drop_semantic_duplicates"),
    output:
        kept="<results>/prompts/distinct.parquet",
        removed="<results>/prompts/distinct.removed.parquet",
        embeddings="<results>/prompts/embeddings.safetensors",
    log:
        "<logs>/prompts/drop_semantic_duplicates.log",
    benchmark:
        "<benchmarks>/prompts/drop_semantic_duplicates.tsv"
    conda:
        "../envs/prompts.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(240),
        gpu=GPU,
        device=DEVICE,
    params:
        settings=settings(PROMPTS.semantic),
    message:
        "Removing prompts that say the same as another in other words"
    shell:
        "python workflow_scripts/drop_semantic_duplicates.py"
        " --prompts {input.prompts:q}"
        " --settings {params.settings:q}"
        " --device {resources.device}"
        " --removed {output.removed:q}"
        " --embeddings {output.embeddings:q}"
        " --out {output.kept:q}"
        " > {log:q} 2>&1"


rule cluster_prompts:
    input:
        prompts="<results>/prompts/distinct.parquet",
        embeddings="<results>/prompts/embeddings.safetensors",
        code=code("cluster_prompts"),
    output:
        "<results>/prompts/clustered.parquet",
    log:
        "<logs>/prompts/cluster_prompts.log",
    benchmark:
        "<benchmarks>/prompts/cluster_prompts.tsv"
    conda:
        "../envs/prompts.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(120),
    params:
        settings=settings(PROMPTS.clusters),
    message:
        "Grouping the prompts into {PROMPTS.clusters.count} clusters"
    shell:
        "python workflow_scripts/cluster_prompts.py"
        " --prompts {input.prompts:q}"
        " --embeddings {input.embeddings:q}"
        " --settings {params.settings:q}"
        " --out {output:q}"
        " > {log:q} 2>&1"


rule select_prompts:
    input:
        prompts="<results>/prompts/clustered.parquet",
        code=code("select_prompts"),
    output:
        "<results>/prompts/selected.parquet",
    log:
        "<logs>/prompts/select_prompts.log",
    benchmark:
        "<benchmarks>/prompts/select_prompts.tsv"
    conda:
        "../envs/prompts.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        settings=settings(PROMPTS.selection),
    message:
        "Drawing {PROMPTS.selection.count} training prompts from all clusters"
    shell:
        "python workflow_scripts/select_prompts.py"
        " --prompts {input.prompts:q}"
        " --settings {params.settings:q}"
        " --out {output:q}"
        " > {log:q} 2>&1"
