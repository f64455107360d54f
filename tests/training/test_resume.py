import os
import signal
from dataclasses import replace

import pytest
import torch
from accelerate.state import AcceleratorState

from pnapo.artifacts.workspace import workspace
from pnapo.config.schema import Watch
from pnapo.errors import Terminated
from pnapo.training import loop

from .conftest import Killed

WEIGHTS = "pytorch_lora_weights.safetensors"
LASTING = (WEIGHTS, f"snapshots/5/{WEIGHTS}", "train_log.jsonl", "manifest.json", "settings.json", "README.md")


FIRST = 4  # uses of the embeddings before the first step: the reference's forward passes on 64 samples
SETTINGS = {
    "steps": 8,
    "checkpoint_every": 3,
    "batch": 2,
    "accumulation": 2,
    "ema": 0.7,
    "warmup": 3,
    "snapshots": [2, 5],
}


@pytest.mark.parametrize("kills", [[FIRST + 7], [FIRST + 9, 5], [1]])
def test_a_killed_training_goes_on_and_makes_the_same_bytes(trained, fatal, kills):
    whole = trained("a/run", **SETTINGS)
    for uses in kills:
        with pytest.raises(Killed):
            trained("b/run", embeddings=fatal(uses), **SETTINGS)
        assert not (whole.folder.parents[1] / "b" / "run" / "manifest.json").exists()
    resumed = trained("b/run", **SETTINGS)
    assert any("resuming at step" in line for line in resumed.lines) == (kills[0] > FIRST)
    for name in LASTING:
        assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name
    assert not (resumed.folder.parent / ".run.work").exists()


@pytest.mark.parametrize("uses", [1, 5, 8])
def test_sigterm_ends_a_training_after_the_step_it_is_in(trained, fatal, monkeypatch, uses):
    """In the first step, in one after which a state is saved anyway, and between two of these."""
    whole, ask = trained("a/run", **SETTINGS), fatal(FIRST + uses)
    monkeypatch.setattr(type(ask), "strike", lambda self: os.kill(os.getpid(), signal.SIGTERM))
    ended = 1 + uses // SETTINGS["accumulation"]
    with pytest.raises(Terminated, match=f"after step {ended} of 8; its state is saved"):
        trained("b/run", embeddings=ask, **SETTINGS)
    assert not (whole.folder.parents[1] / "b" / "run").exists()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    resumed = trained("b/run", **SETTINGS)
    assert f"resuming at step {ended}" in resumed.lines
    for name in LASTING:
        assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name


def heard(number):
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip(f"{number.name} is ignored here")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_in_the_last_step_lose_none(trained, fatal, monkeypatch, number):
    heard(number)
    whole, ask = trained("a/run", **SETTINGS), fatal(FIRST + 15)
    monkeypatch.setattr(type(ask), "strike", lambda self: os.kill(os.getpid(), number))
    with pytest.raises(Terminated, match=f"^ended by {number.name} after step 8 of 8") as ended:
        trained("b/run", embeddings=ask, **SETTINGS)
    assert ended.value.status == 128 + number
    done = trained("b/run", **SETTINGS)
    assert "resuming at step 8" in done.lines
    for name in LASTING:
        assert (done.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name


def test_a_kill_while_the_checkpoint_is_put_together_loses_no_step(trained, monkeypatch):
    def killed(*arguments):
        raise Killed

    whole = trained("a/run", **SETTINGS)
    with monkeypatch.context() as context, pytest.raises(Killed):
        context.setattr(loop, "assemble", killed)
        trained("b/run", **SETTINGS)
    done = trained("b/run", **SETTINGS)
    assert "resuming at step 8" in done.lines
    for name in LASTING:
        assert (done.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name


def test_a_second_interrupt_does_not_wait(trained, fatal, monkeypatch):
    heard(signal.SIGINT)
    ask = fatal(FIRST + 3)
    monkeypatch.setattr(type(ask), "strike", lambda self: [os.kill(os.getpid(), signal.SIGINT) for _ in range(2)])
    with pytest.raises(KeyboardInterrupt):
        trained(embeddings=ask, **SETTINGS)


def test_full_fine_tuning_resumes_too(trained, fatal):
    settings = {"adapter": "full", "steps": 4, "checkpoint_every": 2}
    whole = trained("a/run", **settings)
    with pytest.raises(Killed):
        trained("b/run", embeddings=fatal(2 + 3), **settings)
    resumed = trained("b/run", **settings)
    name = "transformer/diffusion_pytorch_model.safetensors"
    assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes()


@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_a_moving_reference_resumes_too(trained, fatal, adapter):
    settings = {"adapter": adapter, "steps": 6, "checkpoint_every": 2, "reference": "compute", "reference_ema": 0.8}
    whole = trained("a/run", **settings)
    with pytest.raises(Killed):
        trained("b/run", embeddings=fatal(5), **settings)
    resumed = trained("b/run", **settings)
    assert any("resuming at step 4" in line for line in resumed.lines)
    weights = "pytorch_lora_weights" if adapter == "lora" else "transformer/diffusion_pytorch_model"
    for name in (f"{weights}.safetensors", "train_log.jsonl"):
        assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name


def test_a_torn_last_line_is_dropped(trained, fatal):
    whole = trained("a/run", **SETTINGS)
    with pytest.raises(Killed):
        trained("b/run", embeddings=fatal(FIRST + 9), **SETTINGS)
    with open(whole.folder.parents[1] / "b" / ".run.work" / "train_log.jsonl", "a") as handle:
        handle.write('{"step": 4, "lo')
    log = trained("b/run", **SETTINGS).folder / "train_log.jsonl"
    assert log.read_bytes() == (whole.folder / "train_log.jsonl").read_bytes()


@pytest.mark.parametrize("change", [{"beta": 51.0}, {"seed": 1}, {"batch": 1}])
def test_a_state_of_other_settings_is_not_used(trained, fatal, change):
    with pytest.raises(Killed):
        trained("run", embeddings=fatal(FIRST + 13), **SETTINGS)
    other = trained("run", **SETTINGS | change)
    assert any("other settings" in line for line in other.lines)
    fresh = trained("a/run", **SETTINGS | change)
    for name in LASTING:
        assert (other.folder / name).read_bytes() == (fresh.folder / name).read_bytes(), name


@pytest.mark.parametrize("what", ["pairs", "weights", "dtype"])
def test_a_state_of_other_data_or_weights_is_not_used(trained, fatal, pairs, backbone_of, what):
    """The gaps, the model's path and its architecture stay the same."""
    with pytest.raises(Killed):
        trained("run", embeddings=fatal(FIRST + 13), **SETTINGS)
    AcceleratorState._reset_state(reset_partial_state=True)  # it knows the type
    backbone = backbone_of(dtype=torch.bfloat16 if what == "dtype" else torch.float32)
    if what == "weights":
        next(backbone.transformer.parameters()).data[0] += 0.5
    changed = (
        {"pairs": replace(pairs, made_from="swapped", x0_w=pairs.x0_l, x0_l=pairs.x0_w)} if what == "pairs" else {}
    )
    other = trained("run", backbone=backbone, **SETTINGS, **changed)
    assert any("other settings, data, weights or sources" in line for line in other.lines)
    assert any("parts that are damaged or were made from something else" in line for line in other.lines)
    fresh = trained("a/run", backbone=backbone, **SETTINGS, **changed)
    for name in LASTING:
        assert (other.folder / name).read_bytes() == (fresh.folder / name).read_bytes(), name


def test_how_often_states_are_saved_may_change(trained, fatal):
    with pytest.raises(Killed):
        trained("run", embeddings=fatal(FIRST + 13), **SETTINGS)
    assert "resuming at step 6" in trained("run", **SETTINGS | {"checkpoint_every": 2}).lines


def test_a_damaged_state_or_log_means_starting_over(trained, fatal):
    folder = None
    for file, message in [("state.pt", "damaged state"), ("train_log.jsonl", "shorter than its state says")]:
        with pytest.raises(Killed):
            trained("run", embeddings=fatal(FIRST + 13), **SETTINGS)
        folder = folder or trained("a/run", **SETTINGS).folder.parents[1]
        damaged = folder / ".run.work" / file
        os.truncate(damaged, damaged.stat().st_size // 2)
        again = trained("run", **SETTINGS)
        assert any(message in line for line in again.lines)
        for name in LASTING:
            assert (again.folder / name).read_bytes() == (folder / "a" / "run" / name).read_bytes(), name


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("state.pt", "damaged state"),
        ("train_log.jsonl", "not as it was when its state was saved"),
        ("speed.jsonl", "not as it was when its state was saved"),
        (f"snapshots/5/{WEIGHTS}", "not the weights that were kept"),
    ],
)
def test_a_flipped_bit_means_starting_over(trained, fatal, file, message):
    with pytest.raises(Killed):
        trained("run", embeddings=fatal(FIRST + 13), **SETTINGS)
    whole = trained("a/run", **SETTINGS).folder
    damaged = whole.parents[1] / ".run.work" / file
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1  # in a tensor of the state, and in a number of a log
    damaged.write_bytes(content)
    again = trained("run", **SETTINGS)
    assert any(message in line for line in again.lines) and not any("resuming" in line for line in again.lines)
    for name in LASTING:
        assert (again.folder / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_state_outlives_weights_to_fall_back_to_that_are_gone(trained, fatal):
    """Since the state was saved, later ones have taken the place of the first that it knows."""
    settings = {"steps": 40, "checkpoint_every": 15, "batch": 2}
    watch = Watch(on_trouble="stop", window=2, gradient=1e3, growth=1e3, accuracy=1e3, drift=1e3)
    with pytest.raises(Killed):
        trained("run", embeddings=fatal(10 + 27), watch=watch, **settings)  # the reference first, then a use a step
    resumed = trained("run", watch=watch, **settings)
    assert any("resuming at step 15" in line for line in resumed.lines)
    whole = trained("a/run", watch=watch, **settings)
    assert (resumed.folder / WEIGHTS).read_bytes() == (whole.folder / WEIGHTS).read_bytes()


def test_what_an_attempt_of_other_settings_kept_is_not_used(trained, fatal):
    with pytest.raises(Killed):
        trained("run", embeddings=fatal(FIRST + 13), **SETTINGS)
    other = trained("run", **SETTINGS | {"beta": 51.0, "snapshots": [3]})
    assert [path.name for path in (other.folder / "snapshots").iterdir()] == ["3"]


def test_two_trainings_of_one_checkpoint_do_not_share_a_work_folder(tmp_path):
    out = tmp_path / "runs" / "x"
    with workspace(out) as first, workspace(out) as second:
        assert first != second and first.parent == second.parent == out.parent
        (second / "state.pt").write_text("")
    assert list(out.parent.iterdir()) == []
    with pytest.raises(Killed), workspace(out) as first:
        (first / "state.pt").write_text("kept")
        raise Killed
    with workspace(out) as again:
        assert (again / "state.pt").read_text() == "kept"
