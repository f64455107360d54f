"""Train one run with one seed on a pair set, and write its checkpoint folder."""

import argparse
import sys
from pathlib import Path

from pnapo import gpus, processes, scripting
from pnapo.config.schema import Model, Run, Watch


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", required=True, type=Path, help="manifest of the pair set")
    parser.add_argument("--labels", required=True, type=Path, help="labels of the pair set (parquet)")
    parser.add_argument("--embeddings", required=True, type=Path, help="manifest of the prompt embeddings")
    parser.add_argument("--model", required=True, type=scripting.section(Model), help="the backbone, as JSON")
    parser.add_argument("--run", required=True, type=scripting.section(Run), help="the run's settings, as JSON")
    parser.add_argument(
        "--reference", nargs="+", default=[], type=Path, help="manifests of the reference's errors, a visit each"
    )
    parser.add_argument("--tuned", type=Path, help="choice of β, learning rate and step (JSON); without: the run's own")
    parser.add_argument("--seed", required=True, type=int, help="order of the pairs and adapter initialisation")
    parser.add_argument("--draw-seed", required=True, type=int, help="times and fresh noise")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--tracker", default="none", help="told the lines of the training log, beside the log itself")
    parser.add_argument(
        "--watch", default=Watch(), type=scripting.section(Watch), help="thresholds of warnings, as JSON"
    )
    parser.add_argument("--log", type=Path, help="the job's log; a tracker's files lie in a folder of that name")
    parser.add_argument("--processes", default=1, type=int, help="how many train together; on GPUs, one on each")
    parser.add_argument("--nodes", default=1, type=int, help="of the SLURM job that the processes are spread over")
    parser.add_argument("--out", required=True, type=Path, help="manifest.json of the checkpoint folder")
    arguments = parser.parse_args(argv)
    if arguments.processes > 1 and not processes.launched():
        if arguments.device != "cpu" and arguments.nodes == 1:
            gpus.lease(arguments.processes)
        processes.launch(__file__, argv or sys.argv[1:], processes=arguments.processes, nodes=arguments.nodes)
        return
    if processes.launched():
        processes.die_with_parent()

    from pnapo.artifacts import read_record
    from pnapo.training.from_files import train_on_files
    from pnapo.training.settings import apply_choice
    from pnapo.training.tracker import Tracker

    run, stop, tracker = arguments.run, None, None
    if arguments.tuned:
        run, stop = apply_choice(run, read_record(arguments.tuned))
    if arguments.tracker != "none":
        tracker = Tracker(arguments.tracker, (arguments.log or arguments.out.parent).with_suffix(""))
    train_on_files(
        pairs=arguments.pairs,
        labels=arguments.labels,
        embeddings=arguments.embeddings,
        model=arguments.model,
        run=run,
        reference=arguments.reference,
        stop=stop,
        seed=arguments.seed,
        draw_seed=arguments.draw_seed,
        device=scripting.pick_device(arguments.device),
        watch=arguments.watch,
        tracker=tracker,
        out=arguments.out.parent,
        log=lambda line: print(line, flush=True),
    )


if __name__ == "__main__":
    scripting.run(main)
