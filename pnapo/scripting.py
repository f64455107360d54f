"""What every script of `workflow_scripts/` shares: errors as one line, settings as JSON, and the device."""

import argparse
import os
import resource
import sys
import traceback
from collections.abc import Callable

from pydantic import BaseModel, ValidationError

from pnapo import gpus
from pnapo.errors import UserError
from pnapo.owner import end_with_owner
from pnapo.refusals import refusal, tell
from pnapo.text import presentable, redacted

# Of every process that runs models: weights are local files, and results repeat.
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}


def guard(main: Callable[[], None]) -> None:
    """Call `main`; exit with one line on stderr for a UserError (with its status) and for what the system refuses.

    A traceback comes before it if PNAPO_DEBUG is set. No secrets are printed, not even in a traceback of our own faults.
    """
    try:
        main()
    except KeyboardInterrupt:
        tell("interrupted")
        raise SystemExit(130) from None
    except BrokenPipeError:  # the reader has seen enough
        raise
    except Exception as error:
        told = error if isinstance(error, UserError) else refusal(error)
        if told is None or os.environ.get("PNAPO_DEBUG"):
            print(redacted(traceback.format_exc()), end="", file=sys.stderr)
        if told is not None:
            tell(presentable(told))
        raise SystemExit(getattr(error, "status", 1)) from None


def run(main: Callable[[], None]) -> None:
    """A script's `main`, guarded; a rule's log ends with what it cost, which Snakemake cannot see of a warm start."""

    def costed() -> None:
        main()
        _tell_cost()

    end_with_owner()
    guard(costed)


def _tell_cost() -> None:
    if os.environ.get("RANK", "0") != "0":  # one of several processes
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(f"cost: {used.ru_utime + used.ru_stime:.1f} s of CPU, {peak / 2**20:.0f} MiB at most", flush=True)


def section(kind: type[BaseModel]) -> Callable[[str], BaseModel]:
    """An argparse type that reads one section of the configuration from JSON."""

    def parse(text: str) -> BaseModel:
        try:
            return kind.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or kind.__name__
            raise argparse.ArgumentTypeError(f"{where}: {first['msg']}") from None

    return parse


def pick_device(name: str) -> str:
    """`auto` becomes cuda if there is a GPU, else cpu; each of several processes has a GPU of its own (`pnapo.gpus`).

    Torch may use as many threads as `limit_threads` says. The first process says both on stderr. Raises UserError if cuda is
    asked for and missing, or if there are fewer GPUs than processes.
    """
    device = _usable(name)
    limit_threads()
    if os.environ.get("RANK", "0") == "0":
        count = os.environ.get("OMP_NUM_THREADS", "1")
        print(f"device: {device}, {count} thread{'s' if count != '1' else ''}", file=sys.stderr, flush=True)
    return device


def _usable(name: str) -> str:
    if name != "cpu":
        gpus.lease()
    import torch

    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise UserError("device: cuda is asked for, but torch sees no GPU; set `device: cpu` or `auto`")
    if name == "cpu" or not available:
        return "cpu"
    number, count = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if number >= count:
        raise UserError(
            f"{os.environ['LOCAL_WORLD_SIZE']} processes on a node with {count} GPUs: launch {count} on each"
        )
    return f"cuda:{number}" if "LOCAL_RANK" in os.environ else "cuda"


def limit_threads() -> None:
    """Let torch use as many threads as OMP_NUM_THREADS says (Snakemake sets it to the rule's threads), else one."""
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
