# Tables and the report. Nothing here needs torch; a changed label or interval is a matter of seconds.
rule funnel_table:
    input:
        steps=[f"<results>/prompts/{step}.parquet" for step in ("all", *STEPS, SELECTED)],
        removed=[f"<results>/prompts/{step}.removed.parquet" for step in STEPS],
        truth="<results>/prompts/truth.parquet" if WORLD_SOURCE else [],
        code=code("funnel_table"),
    output:
        csv=report("<results>/tables/funnel.csv", category="Tables", subcategory="funnel"),
        md="<results>/tables/funnel.md",
        tex="<results>/tables/funnel.tex",
        manifest="<results>/tables/funnel.manifest.json",
    log:
        "<logs>/tables/funnel.log",
    benchmark:
        "<benchmarks>/tables/funnel.tsv"
    conda:
        "../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        folder=lambda wildcards: f"{CONFIG.results}/prompts",
        truth=lambda wildcards, input: ["--truth", input.truth] if input.truth else [],
    message:
        "Counting what each filter of the prompts kept and removed"
    shell:
        "python workflow_scripts/funnel_table.py"
        " --folder {params.folder:q}"
        " {params.truth:q}"
        " --out {output.csv:q}"
        " > {log:q} 2>&1"


rule main_table:
    input:
        scores=all_scores(),
        published=files_of(CONFIG.published or ""),
        code=code("main_table"),
    output:
        csv=report("<results>/tables/main.csv", category="Tables", subcategory="main"),
        md="<results>/tables/main.md",
        tex="<results>/tables/main.tex",
        manifest="<results>/tables/main.manifest.json",
        others=expand(
            "<results>/tables/{table}.{suffix}",
            table=["comparisons", "seeds"],
            suffix=["csv", "md", "tex", "manifest.json"],
        ),
        metrics="<results>/metrics.json",
        listing="<results>/metrics.manifest.json",
    log:
        "<logs>/tables/main.log",
    benchmark:
        "<benchmarks>/tables/main.tsv"
    conda:
        "../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        folder=lambda wildcards: f"{CONFIG.results}/scores",
        config=table_settings(),
        published=["--published", CONFIG.published] if CONFIG.published else [],
    message:
        "Making the main table"
    shell:
        "python workflow_scripts/main_table.py"
        " --scores {params.folder:q}"
        " --config {params.config:q}"
        " {params.published:q}"
        " --metrics {output.metrics:q}"
        " --out {output.csv:q}"
        " > {log:q} 2>&1"


rule geneval_table:
    input:
        scores=all_scores(GENEVAL),
        published=files_of(CONFIG.published or ""),
        code=code("geneval_table"),
    output:
        csv=report("<results>/tables/geneval.csv", category="Tables", subcategory="GenEval"),
        md="<results>/tables/geneval.md",
        tex="<results>/tables/geneval.tex",
        manifest="<results>/tables/geneval.manifest.json",
    log:
        "<logs>/tables/geneval.log",
    benchmark:
        "<benchmarks>/tables/geneval.tsv"
    conda:
        "../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        folder=lambda wildcards: f"{CONFIG.results}/scores",
        config=table_settings(GENEVAL),
        published=["--published", CONFIG.published] if CONFIG.published else [],
    message:
        "Making the table of GenEval's tasks"
    shell:
        "python workflow_scripts/geneval_table.py"
        " --scores {params.folder:q}"
        " --config {params.config:q}"
        " {params.published:q}"
        " --out {output.csv:q}"
        " > {log:q} 2>&1"


rule compute_table:
    input:
        runs=trained(),
        published=files_of(CONFIG.published or ""),
        code=code("compute_table"),
    output:
        csv=report("<results>/tables/compute.csv", category="Tables", subcategory="compute"),
        md="<results>/tables/compute.md",
        tex="<results>/tables/compute.tex",
        manifest="<results>/tables/compute.manifest.json",
    log:
        "<logs>/tables/compute.log",
    benchmark:
        "<benchmarks>/tables/compute.tsv"
    conda:
        "../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        published=["--published", CONFIG.published] if CONFIG.published else [],
    message:
        "Making the table of what each run cost"
    shell:
        "python workflow_scripts/compute_table.py"
        " --runs {input.runs:q}"
        " {params.published:q}"
        " --out {output.csv:q}"
        " > {log:q} 2>&1"


rule curves:
    input:
        runs=trained(),
        code=code("curves"),
    output:
        curves=[f"<results>/curves/{backbone}-{policy}.csv" for backbone, policy in TRAINED],
        manifest="<results>/curves.manifest.json",
    log:
        "<logs>/curves.log",
    benchmark:
        "<benchmarks>/curves.tsv"
    conda:
        "../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        folder=lambda wildcards: f"{CONFIG.results}/curves",
    message:
        "Writing the training curves"
    shell:
        "python workflow_scripts/curves.py"
        " --runs {input.runs:q}"
        " --manifest {output.manifest:q}"
        " --out {params.folder:q}"
        " > {log:q} 2>&1"


rule report:
    input:
        tables=[
            rules.funnel_table.output,
            rules.main_table.output,
            rules.geneval_table.output if GENEVAL else [],
            rules.compute_table.output,
            rules.tuning_table.output if TUNED else [],
            rules.budget_table.output if CONFIG.budget else [],
            (
                [rules.claims_table.output, rules.regimes_table.output, rules.geometry_table.output]
                if CONFIG.claims
                else []
            ),
        ],
        labels=label_tables(),
        images=all_images(),
        testsets=expand(rules.write_testset.output, testset=CONFIG.testsets),
        templates=sorted(map(str, Path("pnapo/report/templates").glob("*.*"))),
        code=code("report"),
    output:
        page=report("<results>/report.html", category="Report"),
        manifests=["<results>/report.manifest.json", "<results>/figures/manifest.json"],
    log:
        "<logs>/report.log",
    benchmark:
        "<benchmarks>/report.tsv"
    conda:
        "../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        folder=lambda wildcards: CONFIG.results,
        config=report_settings,
    message:
        "Writing the report with its figures and image grids"
    shell:
        "python workflow_scripts/report.py"
        " --results {params.folder:q}"
        " --config {params.config:q}"
        " --out {output.page:q}"
        " > {log:q} 2>&1"
