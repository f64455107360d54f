# The embedded world's weights, from nothing: `snakemake world` makes them in results/world and measures them. They are
# shipped under assets/world, so nothing else in the workflow asks for these rules. `make ship-world` copies them there.
from pnapo.world.recipe import CODE as WORLD_CODE
from pnapo.world.recipe import NEEDS as WORLD_NEEDS
from pnapo.world.recipe import PARTS as WORLD_PARTS
from pnapo.world.recipe import SHIPPED as WORLD_SHIPPED


rule world:
    input:
        "<results>/world/quality.json",
    localrule: True


rule make_world_part:
    input:
        parts=lambda wildcards: [
            f"<results>/world/{part}/manifest.json" for part in WORLD_NEEDS.get(wildcards.part, ())
        ],
        code=lambda wildcards: code("make_world_part", *(f"world/{module}" for module in WORLD_CODE[wildcards.part])),
    output:
        "<results>/world/{part}/manifest.json",
    log:
        "<logs>/world/{part}.log",
    benchmark:
        "<benchmarks>/world/{part}.tsv"
    wildcard_constraints:
        part=one_of(WORLD_PARTS),
    conda:
        "../envs/world.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(240),
        gpu=GPU,
    params:
        settings=lambda wildcards: json.dumps(WORLD_PARTS[wildcards.part], sort_keys=True),
    message:
        "Making the embedded world's {wildcards.part}"
    shell:
        "python workflow_scripts/make_world_part.py"
        " --part {wildcards.part}"
        " --settings {params.settings:q}"
        " --out {output:q}"
        " > {log:q} 2>&1"


rule world_quality:
    input:
        parts=expand("<results>/world/{part}/manifest.json", part=WORLD_PARTS),
        code=code("world_quality"),
    output:
        "<results>/world/quality.json",
    log:
        "<logs>/world/quality.log",
    benchmark:
        "<benchmarks>/world/quality.tsv"
    conda:
        "../envs/world.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
        gpu=GPU,
    params:
        world=lambda wildcards: f"{CONFIG.results}/world",
    message:
        "Measuring how good the embedded world is"
    shell:
        "python workflow_scripts/world_quality.py" " --world {params.world:q}" " --out {output:q}" " > {log:q} 2>&1"


rule ship_world:
    input:
        quality="<results>/world/quality.json",
        parts=expand("<results>/world/{part}/manifest.json", part=WORLD_SHIPPED),
    output:
        touch("<results>/world/shipped"),
    log:
        "<logs>/world/ship.log",
    benchmark:
        "<benchmarks>/world/ship.tsv"
    conda:
        "../envs/world.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        world=lambda wildcards: f"{CONFIG.results}/world",
    message:
        "Shipping the embedded world to assets/world"
    shell:
        "python workflow_scripts/ship_world.py"
        " --world {params.world:q}"
        " --quality {input.quality:q}"
        " --assets assets/world"
        " > {log:q} 2>&1"
