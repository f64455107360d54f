# Tables, claims and the report: what each depends on.


def judged():
    """The backbones on which the claims are judged."""
    chosen = CONFIG.claims and CONFIG.claims.backbones
    return [backbone for backbone in CONFIG.backbones if backbone in (chosen or [backbone])]


def regimes():
    """The backbones that have both the claims' method and their baseline."""
    both = {CONFIG.claims.method, CONFIG.claims.baseline} if CONFIG.claims else set()
    return [backbone for backbone in CONFIG.backbones if both <= set(runs_on(CONFIG, backbone))]


def trained_gradients():
    """The gradients at the trained policies of the claims' method and baseline."""
    claims = CONFIG.claims
    return [
        f"<results>/lab/{backbone}/gradients-{run}-s{seed}.json"
        for backbone in judged()
        for runs in [runs_on(CONFIG, backbone)]
        for run in ([claims.method, claims.baseline] if claims else [])
        if run in runs
        for seed in runs[run].seeds
    ]


def table_settings(metrics=CONFIG.metrics):
    """A rule's parameter: what a table depends on beside the scores. The order of names is that of rows and columns."""
    names = {
        "backbones": CONFIG.backbones,
        "runs": {name: run.seeds for name, run in CONFIG.runs.items()},
        "only": {name: run.backbones for name, run in CONFIG.runs.items() if run.backbones},
        "metrics": {name: CONFIG.metrics[name].testsets for name in metrics},
        "scored_by": networks(CONFIG, metrics),
        "statistics": CONFIG.statistics.model_dump(),
    }
    return lambda wildcards: json.dumps(names)


def claims_settings(wildcards):
    """What the claims depend on beside scores and measurements."""
    question = {
        "claims": CONFIG.claims and CONFIG.claims.model_dump(),
        "expected": json.loads(table_settings()(wildcards)),
        "curves": json.loads(budget_settings(wildcards)) if CONFIG.budget else None,
    }
    return json.dumps(question)


def report_settings(wildcards):
    """The whole configuration, less where and how it runs."""
    return json.dumps(CONFIG.model_dump(mode="json", exclude={"device", "tracker", "watch"}))
