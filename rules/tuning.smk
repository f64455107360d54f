# Tuning and budgets: what each run's grid scores on validation prompts, and what every run gains at its snapshots.
# Both look at snapshots of trainings (the policy `pnapo-s0-at80`: `pnapo-s0` after 80 steps).
rule choose:
    input:
        scores=tried,
        code=code("choose"),
    output:
        "<results>/tuning/{backbone}/{run}.json",
    log:
        "<logs>/tuning/{backbone}/{run}.log",
    benchmark:
        "<benchmarks>/tuning/{backbone}/{run}.tsv"
    conda:
        "../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        points=points,
    message:
        "Choosing β, learning rate and steps of {wildcards.run} on {wildcards.backbone}"
    shell:
        "python workflow_scripts/choose.py"
        " --scores {input.scores:q}"
        " --points {params.points:q}"
        " --out {output:q}"
        " > {log:q} 2>&1"


rule tuning_table:
    input:
        choices=CHOICES,
        code=code("tuning_table"),
    output:
        csv=report("<results>/tables/tuning.csv", category="Tables", subcategory="tuning"),
        md="<results>/tables/tuning.md",
        tex="<results>/tables/tuning.tex",
        manifest="<results>/tables/tuning.manifest.json",
    log:
        "<logs>/tables/tuning.log",
    benchmark:
        "<benchmarks>/tables/tuning.tsv"
    conda:
        "../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    message:
        "Making the table of what tuning tried"
    shell:
        "python workflow_scripts/tuning_table.py"
        " --choices {input.choices:q}"
        " --out {output.csv:q}"
        " > {log:q} 2>&1"


rule budget_table:
    input:
        scores=curve_scores(),
        code=code("budget_table"),
    output:
        csv=report("<results>/tables/budget.csv", category="Tables", subcategory="budget"),
        md="<results>/tables/budget.md",
        tex="<results>/tables/budget.tex",
        manifest="<results>/tables/budget.manifest.json",
    log:
        "<logs>/tables/budget.log",
    benchmark:
        "<benchmarks>/tables/budget.tsv"
    conda:
        "../envs/tables.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        folder=lambda wildcards: f"{CONFIG.results}/scores",
        config=budget_settings,
    message:
        "Making the table of gains along training"
    shell:
        "python workflow_scripts/budget_table.py"
        " --scores {params.folder:q}"
        " --config {params.config:q}"
        " --out {output.csv:q}"
        " > {log:q} 2>&1"
