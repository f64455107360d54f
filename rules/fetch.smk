# What comes from a network: `snakemake fetch`, on a machine that has one. All other jobs read local files, and are offline.
# Every download has a rule of its own, fetch_NAME, which runs where Snakemake does, not on a compute node. Its output records
# what was brought; it is not removed before the next fetch, which has to bring the same.
for name, download in CONFIG.downloads.items():

    rule:
        name:
            f"fetch_{name}"
        output:
            update(record_of(download)),
        log:
            f"<logs>/fetch/{name}.log",
        localrule: True
        threads: 1
        params:
            settings=as_json(download.model_dump(exclude={"size"})),
        message:
            f"Fetching {download.repo or download.url} into {download.path}"
        shell:
            "python workflow_scripts/fetch.py --settings {params.settings:q} > {log:q} 2>&1"


rule fetch:
    input:
        [record_of(download) for download in CONFIG.downloads.values()],
    localrule: True
