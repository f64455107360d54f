# What comes from a network: `snakemake fetch`, on a machine that has one. All other jobs read local files, and are offline.
# Every download has a rule of its own, fetch_NAME, which runs where Snakemake does, not on a compute node.
for name, download in CONFIG.downloads.items():

    rule:
        name:
            f"fetch_{name}"
        output:
            f"{download.path}/fetched.json",
        log:
            f"<logs>/fetch/{name}.log",
        localrule: True
        threads: 1
        params:
            settings=settings(download),
        message:
            f"Fetching {download.repo} into {download.path}"
        shell:
            "python workflow_scripts/fetch.py --settings {params.settings:q} > {log:q} 2>&1"


rule fetch:
    input:
        [f"{download.path}/fetched.json" for download in CONFIG.downloads.values()],
    localrule: True
