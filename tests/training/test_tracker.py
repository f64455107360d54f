"""A tracker is told what the log is, and nothing that happens to it touches the training."""

from importlib.util import find_spec

import pytest

from pnapo.errors import UserError
from pnapo.sources import imports
from pnapo.training import tracker as module
from pnapo.training.log import read_log
from pnapo.training.tracker import TRACKERS, Opened, Tracker, require

from .conftest import Killed

SETTINGS = {"steps": 8, "checkpoint_every": 3, "batch": 2, "accumulation": 2}
USES = 4 + 9  # of the embeddings until it is killed: by the reference on 32 pairs, then two in each step


@pytest.fixture
def listening(monkeypatch):
    """listening(broken=…) stands in for a package: it keeps what it is told, and fails where it is said to."""
    told = {"opened": [], "steps": [], "closed": 0}

    def install(broken=""):
        def opened(folder, name, settings, step):
            told["opened"].append((name, settings["run"]["loss"], step))

            def put(values, step):
                if broken == "put" and step == 2:
                    raise RuntimeError("the disk is full\nand more")
                told["steps"].append((step, values))

            def close():
                told["closed"] += 1

            if broken == "open":
                raise ConnectionError("nobody answers")
            return Opened(put, close)

        monkeypatch.setitem(TRACKERS, "trackio", opened)
        return told

    return install


def test_it_is_told_the_lines_of_the_logs(trained, listening, tmp_path):
    told = listening()
    tracker = Tracker("trackio", tmp_path / "sd3" / "pnapo-s0")
    tracked, plain = trained("a/run", tracker=tracker), trained("b/run")
    assert told["opened"] == [("sd3/pnapo-s0", "dpo", 0)] and told["closed"] == 1
    for (step, values), line in zip(told["steps"], read_log(tracked.folder / "train_log.jsonl"), strict=True):
        assert values.pop("pairs_per_s") > 0
        assert {"step": step, **values} == {name: value for name, value in line.items() if value is not None}
    assert (tracked.folder / "manifest.json").read_bytes() == (plain.folder / "manifest.json").read_bytes()


def test_a_training_that_goes_on_tells_it_from_there(trained, listening, fatal, tmp_path):
    told = listening()
    with pytest.raises(Killed):
        trained("run", embeddings=fatal(USES), tracker=Tracker("trackio", tmp_path / "t"), **SETTINGS)
    killed_after = [step for step, _ in told["steps"]]
    told["steps"].clear()
    trained("run", tracker=Tracker("trackio", tmp_path / "t"), **SETTINGS)
    assert told["opened"][1][2] == 3 and killed_after[-1] >= 3
    assert [step for step, _ in told["steps"]] == [3, 4, 5, 6, 7]


@pytest.mark.parametrize(("broken", "reason"), [("open", "nobody answers"), ("put", "the disk is full")])
def test_one_that_fails_is_one_line_and_the_end_of_it(trained, listening, broken, reason, tmp_path):
    told = listening(broken)
    done = trained("a/run", tracker=Tracker("trackio", tmp_path / "t"))
    lines = [line for line in done.lines if line.startswith("tracker trackio: ")]
    assert len(lines) == 1 and reason in lines[0] and "\n" not in lines[0]
    assert len(told["steps"]) == (2 if broken == "put" else 0) and told["closed"] == 0
    assert len(read_log(done.folder / "train_log.jsonl")) == 8


def test_nothing_is_imported_before_it_is_chosen():
    """Neither by the module nor by the warm process, which imports ahead what the sources name."""
    assert not set(TRACKERS) & {name.split(".")[0] for name, _ in imports("pnapo/training/tracker.py").others}
    assert "torch" not in {name.split(".")[0] for name, _ in imports("pnapo/training/tracker.py").others}


def test_one_that_is_not_installed_is_one_clear_line(script, arguments, monkeypatch, tmp_path):
    require("none")
    absent = next((kind for kind in TRACKERS if find_spec(kind) is None), "wandb")
    monkeypatch.setattr(module, "find_spec", lambda kind: None if kind == absent else find_spec(kind))
    with pytest.raises(UserError, match=rf"^tracker {absent}: the package is not installed; `pip install {absent}`"):
        script("train", *arguments({}, {"steps": 1}, tracker=absent))
    assert not (tmp_path / "runs").exists()


def test_tensorboard_shows_the_log(trained, fatal, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracker = Tracker("tensorboard", tmp_path / "logs" / "sd3" / "pnapo-s0")
    with pytest.raises(Killed):
        trained("run", embeddings=fatal(USES), tracker=tracker, **SETTINGS)
    done = trained("run", tracker=tracker, **SETTINGS)
    assert not [line for line in done.lines if line.startswith("tracker")]
    events = EventAccumulator(str(tracker.folder)).Reload()
    found = [(event.step, event.value) for event in events.Scalars("loss")]
    log = read_log(done.folder / "train_log.jsonl")
    assert [step for step, _ in found] == list(range(8))
    assert [value for _, value in found] == pytest.approx([line["loss"] for line in log], rel=1e-6)
