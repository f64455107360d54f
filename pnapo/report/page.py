"""Build the report: the page, and every figure as a file of its own."""

from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from pnapo.artifacts import atomic_path, listing_of, write_listing, write_text
from pnapo.config import Config, networks
from pnapo.report import frames, sections
from pnapo.report.budget import budget_plots
from pnapo.report.checks import check, counts
from pnapo.report.claims import VERDICTS, claims_view, summary
from pnapo.report.collect import Results, collect
from pnapo.report.drawing import css
from pnapo.report.grids import contact_sheets, image_grids
from pnapo.report.lab import forest_plot, hacking_plots, path_plots, regimes_plot
from pnapo.report.results_table import VIEWS, results_tables
from pnapo.report.runs import colors_of, focus, focus_on, methods, variants
from pnapo.report.training import growth_plot, training_plots
from pnapo.report.tuning import strips, tuned_by
from pnapo.tables.labels import label
from pnapo.tables.pivot import scored_by
from pnapo.tables.scores import BASE, BASELINE
from pnapo.tables.write import grid_of


def _backbone(results: Results, backbone: str) -> dict[str, Any]:
    """What is shown of one backbone."""
    here, colors = list(results.methods_on(backbone)), colors_of(results.runs)
    first, others = methods(results.runs), variants(results.runs)
    growth = [growth_plot(results, backbone, runs, stem) for runs, stem in ((first, "methods"), (others, "variants"))]
    return {
        "name": backbone,
        "label": label(backbone),
        "keys": [(label(run), css(colors[run])) for run in (BASE, *focus_on(results.runs, here))],
        "forest": [forest_plot(results, backbone)],
        "hacking": list(hacking_plots(results, backbone)),
        "budget": budget_plots(results, backbone, first, "methods"),
        "budget_variants": budget_plots(results, backbone, others, "variants"),
        "metrics": list(sections.metric_plots(results, backbone)),
        "geneval": list(sections.geneval_plots(results, backbone)),
        "growth": [plot for plot in growth[:1] if plot],
        "growth_variants": [plot for plot in growth[1:] if plot],
        "training": list(training_plots(results, backbone)),
        "tuning": strips(results, backbone),
        "paths": list(path_plots(results, backbone)),
        "geometry": frames.geometry_table(results, backbone),
        "gaps": list(sections.gap_plots(results, backbone)),
        "grids": image_grids(results, backbone),
        "sheets": contact_sheets(results, backbone),
    }


_PLOTS = ("forest", "hacking", "budget", "budget_variants", "metrics", "geneval", "growth", "growth_variants")
_PLOTS += ("training", "paths", "gaps")


def _context(results: Results) -> dict[str, Any]:
    """Everything the template shows."""
    config, warnings = results.config, check(results)
    regimes = regimes_plot(results)
    backbones = [_backbone(results, backbone) for backbone in config.backbones]
    has = {part: any(b[part] for b in backbones) for part in ("hacking", "budget", "geneval", "tuning", "geometry")}
    return {
        "config": config,
        "backbones": backbones,
        "has": has | {"paths": bool(regimes) or any(b["paths"] or b["geometry"] for b in backbones)},
        "shown": [label(run) for run in (BASE, *focus(results.runs))],
        "methods_count": len(methods(results.runs)),
        "variants_count": len(variants(results.runs)),
        "shown_count": len(focus(results.runs)),
        "views": [v for v in VIEWS if v[0] != "windpo" or (BASELINE in config.runs and len(config.runs) > 1)],
        "tables": results_tables(results.main, results.comparisons),
        "scored_by": scored_by(networks(config, config.metrics)),
        "confidence": f"{100 * config.statistics.confidence:g} %",
        "summary": summary(results),
        "claims": claims_view(results),
        "marks": VERDICTS,
        "warnings": warnings,
        "warning_counts": counts(warnings),
        "regimes": [regimes] if regimes else [],
        "methods": frames.methods_table(results),
        "pairs": frames.pairs_table(results),
        "testsets": frames.testsets_table(results),
        "seeds": frames.seeds_table(results),
        "geometry_note": frames.geometry_note(results),
        "tuned_by": tuned_by(results),
        "funnel_plot": sections.funnel_plot(results.funnel),
        "funnel": frames.shown(grid_of(frames.named(results.funnel, results.funnel.columns[0]))),
        "compute": frames.cost_table(results),
        "compute_by_run": frames.cost_by_run(results),
        "settings": yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110),
    }


def build(results_folder: Path | str, config: Config, out: Path | str) -> None:
    """Write the report to `out`, and its figures to R/figures (which then holds nothing else but their manifest).

    Raises UserError that names the first missing or damaged file; then nothing of the page is written.
    """
    results = collect(results_folder, config)
    context = _context(results)
    environment = Environment(
        loader=PackageLoader("pnapo.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["caption"] = sections.caption
    page = environment.get_template("page.html.j2").render(context)

    folder = results.folder / "figures"
    plots = [
        context["funnel_plot"],
        *context["regimes"],
        *(plot for backbone in context["backbones"] for kind in _PLOTS for plot in backbone[kind]),
    ]
    grids = [grid for b in context["backbones"] for grid in b["grids"]]
    for plot in plots:
        write_text(folder / f"{plot.name}.svg", plot.svg)
    for grid in grids:
        with atomic_path(folder / f"{grid.name}.png") as temporary:
            grid.png.save(temporary)
    current = {f"{p.name}.svg" for p in plots} | {f"{g.name}.png" for g in grids}
    for old in folder.iterdir():
        if old.suffix in (".svg", ".png") and old.name not in current:
            old.unlink()
    write_text(out, page)
    write_listing(folder / "manifest.json", "figures", sorted(current))
    write_listing(listing_of(out), "report", [Path(out).name])
