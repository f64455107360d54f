"""A plan on the terminal, and as JSON."""

import json
from collections.abc import Iterable
from typing import Any

from pnapo.plan.disk import PNG
from pnapo.plan.estimate import Estimate, Row


def merged(rows: Iterable[Row]) -> list[Row]:
    """Rows of all backbones together, one for each rule."""
    found: dict[str, Row] = {}
    for row in rows:
        old = found.get(row.rule)
        sums = ("jobs", "gpu_hours", "forward", "backward", "kept")
        tops = ("longest_hours", "peak_gib", "scratch")
        if old:
            row = row._replace(
                backbone="",
                **{name: getattr(old, name) + getattr(row, name) for name in sums},
                **{name: max(getattr(old, name), getattr(row, name)) for name in tops},
            )
        found[row.rule] = row
    return list(found.values())


def size(count: float) -> str:
    """Bytes in words."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def hours(value: float) -> str:
    return "<0.01" if 0 < value < 0.005 else f"{value:,.2f}" if value < 10 else f"{value:,.0f}"


def notes(plan: Estimate) -> list[str]:
    """What was assumed, in two lines, and what is not known."""
    shares = plan.rates.shares
    unknown = [fetched.source for fetched in plan.downloads if fetched.size is None]
    stand_ins = {b.name: b.published for b in plan.experiment.backbones.values() if b.published}
    lines = [
        f"Share of the GPU's peak, {plan.rates.origin}: training {shares['training']:.2g}, sampling {shares['sampling']:.2g}, "
        f"VAE {shares['pixels']:.2g}, text encoders and rewards {shares['text and scores']:.2g}. Peaks: data sheets, dense.",
        "Counted from nothing, without start-up, loading and retries; memory by hand, not measured; "
        f"images as PNGs of {PNG} bytes a pixel.",
    ]
    if stand_ins:
        told = ", ".join(f"{name} as {fact}" for name, fact in stand_ins.items())
        lines.append(f"Not here yet, so taken from what is published: {told}.")
    runs = plan.experiment.config.runs.values()
    if any(run.sharded or any(own.sharded for own in run.on.values()) for run in runs):
        lines.append(f"Sharded trainings are split over as many GPUs as `--gpus` says, {plan.experiment.gpus}.")
    if plan.experiment.raw is None:
        lines.append(f"{plan.experiment.config.prompts.source.path} is not here: the prompt filters are not counted.")
    if unknown:
        lines.append(f"Of unknown size: {', '.join(unknown)}.")
    if plan.experiment.config.device == "cpu":
        lines.append("`device: cpu`: no GPU will be used; the figures are what one would take.")
    return lines


def totals(plan: Estimate, gpus: int) -> list[str]:
    """Jobs, GPU-hours, wall time at best, disk and download."""
    by = ", ".join(f"{name} {hours(value)}" for name, value in plan.by_backbone().items())
    spent, longest = plan.total("gpu_hours"), max(plan.rows, key=lambda row: row.longest_hours)
    best = max(spent / gpus, longest.longest_hours)
    where = f"{longest.rule} on {longest.backbone}" if longest.backbone else longest.rule
    scratch = max(plan.rows, key=lambda row: row.scratch)
    wanted = [fetched for fetched in plan.downloads if not fetched.here]
    download = sum(fetched.size or 0 for fetched in wanted)
    lines = [
        f"{plan.total('jobs'):,} jobs, {hours(spent)} GPU-hours ({by})",
        f"On {gpus} GPU{'s' if gpus > 1 else ''}: {hours(best)} hours at best; the longest job, {where}, takes "
        f"{hours(longest.longest_hours)} by itself",
        f"Disk: {size(plan.total('kept'))} in the end, and up to {size(scratch.scratch)} more for each {scratch.rule} "
        "job that runs",
    ]
    if wanted:
        lines.append(f"Download: at least {size(download)} ({', '.join(fetched.name for fetched in wanted)})")
    return lines


def show(plan: Estimate, gpu: str, gpus: int) -> None:
    """Print the table, totals, assumptions, and what does not fit."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("rule", "jobs", "GPU-hours", "peak GPU memory", f"fits {gpu}?", "disk"):
        table.add_column(name, justify="left" if name == "rule" else "right", no_wrap=True)
    for row in merged(row for row in plan.rows if row.gpu):
        memory = f"{row.peak_gib:.1f} GiB" if row.peak_gib else ""
        kept = size(row.kept) if row.kept else ""
        table.add_row(row.rule, f"{row.jobs:,}", hours(row.gpu_hours), memory, plan.fits(row), kept)
    others = [row for row in plan.rows if not row.gpu]
    rules = len({row.rule for row in others})
    table.add_row(f"{rules} rules without a model", f"{sum(row.jobs for row in others):,}", "", "", "", "")
    console = Console()
    wide = Console(width=max(console.width, Console(width=10_000).measure(table).maximum))
    wide.print(table)
    wide.print()
    lines = [*totals(plan, gpus), "", *notes(plan)]
    if plan.problems:
        lines += ["", f"Does not fit on {gpu} ({plan.rates.gpu.memory:g} GiB):", *(f"  {p}" for p in plan.problems)]
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def as_json(plan: Estimate, gpu: str, gpus: int) -> str:
    """All of it; hours, GiB and bytes as numbers."""
    rows = [{**row._asdict(), "fits": plan.fits(row) or None} for row in plan.rows]
    spent = plan.total("gpu_hours")
    content: dict[str, Any] = {
        "gpu": {"name": gpu, "count": gpus, **plan.rates.gpu._asdict()},
        "utilisation": {**plan.rates.shares, "origin": plan.rates.origin},
        "rules": rows,
        "total": {
            "jobs": plan.total("jobs"),
            "gpu_hours": spent,
            "hours_at_best": max(spent / gpus, max(row.longest_hours for row in plan.rows)),
            "kept": plan.total("kept"),
        },
        "backbones": {
            name: {
                "parameters": backbone.transformer.parameters,
                "published": backbone.published,
                "tokens": backbone.tokens,
                "tera_flops_forward": backbone.flops.forward / 1e12,
                "gpu_hours": plan.by_backbone().get(name, 0.0),
            }
            for name, backbone in plan.experiment.backbones.items()
        },
        "downloads": [fetched._asdict() for fetched in plan.downloads],
        "does_not_fit": plan.problems,
        "notes": notes(plan),
    }
    return json.dumps(content, indent=2)
