# The paper's claims: its bound where it is known, advantage against curvature, and the verdicts. `snakemake claims`.
rule kl_table:
    input:
        code=code("measure_kl"),
    output:
        csv=report("<results>/tables/kl.csv", category="Tables", subcategory="kl"),
        md="<results>/tables/kl.md",
        tex="<results>/tables/kl.tex",
        manifest="<results>/tables/kl.manifest.json",
    log:
        "<logs>/tables/kl.log",
    benchmark:
        "<benchmarks>/tables/kl.tsv"
    conda:
        "../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    message:
        "Checking the paper's bound where it is known exactly"
    shell:
        "python workflow_scripts/measure_kl.py" " --out {output.csv:q}" " > {log:q} 2>&1"


rule kl_world_table:
    input:
        geometry=expand(rules.measure_geometry.output, backbone=judged()),
        code=code("kl_world_table"),
    output:
        csv=report("<results>/tables/kl_world.csv", category="Tables", subcategory="kl"),
        md="<results>/tables/kl_world.md",
        tex="<results>/tables/kl_world.tex",
        manifest="<results>/tables/kl_world.manifest.json",
    log:
        "<logs>/tables/kl_world.log",
    benchmark:
        "<benchmarks>/tables/kl_world.tsv"
    conda:
        "../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        folders=[f"{CONFIG.results}/lab/{backbone}" for backbone in judged()],
        steps=CONFIG.pairs.steps,
        statistics=settings(CONFIG.statistics),
    message:
        "Estimating the paper's bound for the base models"
    shell:
        "python workflow_scripts/kl_world_table.py"
        " --lab {params.folders:q}"
        " --steps {params.steps}"
        " --statistics {params.statistics:q}"
        " --out {output.csv:q}"
        " > {log:q} 2>&1"


rule claims_table:
    input:
        scores=all_scores(),
        curves=curve_scores(),
        geometry=expand(rules.measure_geometry.output, backbone=judged()),
        gradients=expand(rules.measure_gradients.output, backbone=judged()),
        trained=trained_gradients(),
        bound=[rules.kl_table.output, rules.kl_world_table.output],
        code=code("claims_table"),
    output:
        csv=report("<results>/tables/claims.csv", category="Tables", subcategory="claims"),
        md="<results>/tables/claims.md",
        tex="<results>/tables/claims.tex",
        manifest="<results>/tables/claims.manifest.json",
    log:
        "<logs>/tables/claims.log",
    benchmark:
        "<benchmarks>/tables/claims.tsv"
    conda:
        "../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        folder=lambda wildcards: CONFIG.results,
        config=claims_settings,
    message:
        "Judging the paper's claims"
    shell:
        "python workflow_scripts/claims_table.py"
        " --results {params.folder:q}"
        " --config {params.config:q}"
        " --out {output.csv:q}"
        " > {log:q} 2>&1"


rule regimes_table:
    input:
        scores=all_scores(),
        geometry=expand(rules.measure_geometry.output, backbone=regimes()),
        code=code("regimes_table"),
    output:
        csv=report("<results>/tables/regimes.csv", category="Tables", subcategory="regimes"),
        md="<results>/tables/regimes.md",
        tex="<results>/tables/regimes.tex",
        manifest="<results>/tables/regimes.manifest.json",
    log:
        "<logs>/tables/regimes.log",
    benchmark:
        "<benchmarks>/tables/regimes.tsv"
    conda:
        "../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        folder=lambda wildcards: CONFIG.results,
        config=claims_settings,
    message:
        "Making the table of advantage against curvature"
    shell:
        "python workflow_scripts/regimes_table.py"
        " --results {params.folder:q}"
        " --config {params.config:q}"
        " --out {output.csv:q}"
        " > {log:q} 2>&1"
