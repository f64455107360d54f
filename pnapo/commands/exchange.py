"""`pnapo export` and `pnapo import`: pair sets to and from the layout of the model hub's data sets."""

import argparse
from pathlib import Path

from pnapo.commands import common


def add(commands: argparse._SubParsersAction) -> None:
    export = commands.add_parser("export", help="write a pair set for others to take: parquet, images and a card")
    pairs = export.add_subparsers(metavar="WHAT", required=True).add_parser("pairs", help="a pair set, noise included")
    pairs.add_argument("pairs", type=Path, metavar="PAIRS", help="a pair set's folder, with its images in it")
    pairs.add_argument("--prompts", type=Path, metavar="FILE", help="its prompts (default: those kept with it)")
    pairs.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="an empty folder, or none yet")
    pairs.set_defaults(run_command=_export)

    load = commands.add_parser("import", help="take such a pair set")
    pairs = load.add_subparsers(metavar="WHAT", required=True).add_parser("pairs", help="a pair set, noise included")
    pairs.add_argument("exported", type=Path, metavar="EXPORT", help="the folder that `pnapo export pairs` wrote")
    pairs.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="the pair set's folder")
    pairs.set_defaults(run_command=_import)


def _export(args: argparse.Namespace) -> None:
    from pnapo.pairs.hub import export_pairs
    from pnapo.pairs.layout import images_beside, labels_beside, manifest_of, prompts_of

    args.out = args.out.resolve()  # its name is the card's title
    manifest = manifest_of(args.pairs)
    labels, images = labels_beside(manifest), images_beside(manifest)
    export_pairs(manifest, prompts_of(manifest, args.prompts), images, labels, args.out, common.log)
    print(f"{args.out}: labels by {', '.join(labels) or 'none'}; set a licence in README.md before you publish it")


def _import(args: argparse.Namespace) -> None:
    from pnapo.pairs.hub_read import import_pairs
    from pnapo.pairs.layout import labels_beside

    manifest = import_pairs(args.exported, args.out, common.log)
    print(f"{manifest}: a pair set, with labels by {', '.join(labels_beside(manifest)) or 'none'}")
