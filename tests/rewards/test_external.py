"""Rewards of other environments: a real program in a process of its own, and programs that break the protocol."""

import math
import re
import runpy
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from pnapo.config.schema import Reward
from pnapo.errors import UserError
from pnapo.rewards import load_reward
from pnapo.rewards.external import checked

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "envs" / "external"


@pytest.fixture
def external(tmp_path):
    """external(source, **settings) is a reward whose program is this source, beside serve.py."""

    def make(source: str, **settings) -> Reward:
        shutil.copy(PROGRAMS / "serve.py", tmp_path)
        (tmp_path / "mine.py").write_text(source, "utf-8")
        return Reward(kind="external", model="contrast", program=str(tmp_path / "mine.py"), **settings)

    return make


@pytest.fixture
def example(external):
    """The program that the page on rewards shows."""
    (source,) = re.findall(r"```python\n(# mine\.py\n.*?)```", (ROOT / "docs/rewards.md").read_text("utf-8"), re.S)
    return lambda **settings: external(source, **settings)


def test_the_example_of_the_page_scores_every_image_with_its_prompt(example, examples, capfd):
    scorer = load_reward(example(batch=3, scale=10))
    parts = list(scorer.score_prepared(map(scorer.prepare, examples.images), examples.prompts))
    expected = [image.std() / 255 + len(prompt) for image, prompt in zip(examples.images, examples.prompts)]
    assert scorer.display_scale == 10 and [len(part) for part in parts] == [3, 3, 1]
    np.testing.assert_allclose(np.concatenate(parts), np.float32(expected), rtol=1e-6)
    assert not list(scorer.program.folder.glob("*.png"))
    assert re.search(r"external reward: .*mine\.py with pillow \d", capfd.readouterr().out)


def test_the_program_and_its_files_end_with_the_scorer(example, examples):
    scorer = load_reward(example())
    process, folder = scorer.program.process, scorer.program.folder
    assert process.poll() is None and folder.is_dir()
    del scorer
    for _ in range(100):
        if process.poll() is not None and not folder.exists():
            break
        time.sleep(0.1)
    assert process.poll() == 0 and not folder.exists()


def test_what_a_library_prints_is_no_answer(external, examples):
    scorer = load_reward(
        external(
            "import os\nfrom serve import serve\n"
            "def score(paths, prompts):\n    print('loud', flush=True); os.system('echo louder'); return [1.0] * len(paths)\n"
            "serve(lambda settings: score, {})\n"
        )
    )
    assert list(scorer.score(examples.images[:2], examples.prompts[:2])) == [1.0, 1.0]
    assert (scorer.program.folder / "stderr").read_text().split() == ["loud", "louder"]


def test_a_program_may_be_called_as_the_package_it_runs(external, tmp_path):
    reward = external("")
    (tmp_path / "colorsys.py").write_text(
        "from serve import serve\n"
        "def load(settings):\n    import colorsys\n    return lambda paths, prompts: colorsys.rgb_to_hsv(0, 0, 1)[:1]\n"
        "serve(load, {})\n"
    )
    scorer = load_reward(reward.model_copy(update={"program": str(tmp_path / "colorsys.py")}))
    assert scorer.score([np.zeros((4, 4, 3), np.uint8)], ["blue"]) == np.float32(2 / 3)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import sys\nprint('no GPU here', file=sys.stderr)\nsys.exit(3)", r"ended with exit status 3 \(no GPU here\)"),
        ("print('Loading', flush=True)\ninput()", "answered what is no JSON object"),
        ("print('{\"protocol\": 2}', flush=True)\ninput()", "speaks protocol 2, this is 1"),
        ('print(\'{"protocol": 1, "versions": [1]}\', flush=True)\ninput()', r'"versions" is \[1\], not an object'),
        ("from serve import serve\nserve(lambda _: 1 / 0, {})", "ZeroDivisionError: division by zero"),
        (
            "from serve import serve\nserve(None, {'no-such-package': '1.0'})",
            "no-such-package is not installed in .*mine.txt",
        ),
        ("from serve import serve\nserve(None, {'numpy': '0.1'})", r"numpy \S+ is installed in .*, this needs 0\.1"),
    ],
)
def test_a_program_that_does_not_start_is_one_clear_line(external, source, message):
    with pytest.raises(UserError, match=message) as error:
        load_reward(external(source))
    assert "mine.py" in str(error.value) and "\n" not in str(error.value)


def test_what_a_program_says_comes_without_secrets_and_escapes(external, monkeypatch, capfd):
    monkeypatch.setenv("MY_TOKEN", "word-that-nobody-knows")
    source = (
        "import json, os, sys\nsecret = os.environ['MY_TOKEN']\nprint('first', file=sys.stderr)\n"
        "print('\\x1b]0;title\\x07\\x1b[2J', 'x' * 180, secret, file=sys.stderr)\n"
    )
    answer = "print(json.dumps({'protocol': 1, 'versions': {'\\x1b[31m': secret}}), flush=True)\ninput()\n"
    with pytest.raises(UserError, match="ended with exit status 3") as error:
        load_reward(external(source + "sys.exit(3)\n"))
    load_reward(external(source + answer))
    out, err = capfd.readouterr()
    assert err.splitlines() == ["first", rf"\x1b]0;title\x07\x1b[2J {'x' * 180} ***"]
    assert r"with \x1b[31m ***" in out
    for text in (out, err, str(error.value)):
        assert "\x1b" not in text and "word-that" not in text


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("return [1.0] * (len(paths) + 1)", "ValueError: 3 scores for 2 images"),
        ("return [1.0, float('nan')]", "the score nan is not a finite number"),
        ("return ['high', 'low']", "ValueError: could not convert"),
        ("raise RuntimeError('out of\\n memory')", "RuntimeError: out of memory"),
        ("import os; os._exit(9)", "ended with exit status 9"),
    ],
)
def test_a_program_that_fails_while_scoring_is_one_clear_line(external, examples, answer, message):
    source = f"from serve import serve\ndef score(paths, prompts):\n    {answer}\nserve(lambda settings: score, {{}})\n"
    scorer = load_reward(external(source))
    with pytest.raises(UserError, match=message):
        scorer.score(examples.images[:2], examples.prompts[:2])


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (None, 'needs "scores"'),
        ([1.0, 2.0], 'needs "scores"'),
        ([["0", 1.0]], "gave 1 scores for 2 images"),
        ([["1", 1.0], ["0", 2.0]], "gave a score of '1' where '0' was asked"),
        ([["0", 1.0], ["1", math.inf]], "the score inf is not a finite number"),
        ([["0", 1.0], ["1", True]], "the score True is not a finite number"),
        ([["0", 1.0], ["1", "2"]], "the score '2' is not a finite number"),
    ],
)
def test_answers_are_checked(scores, message):
    assert list(checked({"scores": [["0", 1], ["1", -2.5]]}, ["0", "1"], "mine")) == [1.0, -2.5]
    with pytest.raises(UserError, match=message):
        checked({"scores": scores}, ["0", "1"], "mine")


def test_a_missing_environment_is_one_clear_line(external):
    with pytest.raises(UserError, match=r"cache/envs/hpsv3/bin/python: no such Python; docs/rewards\.md says"):
        load_reward(external("", python="cache/envs/hpsv3/bin/python"))
    with pytest.raises(UserError, match=r"none\.py: no such program"):
        load_reward(Reward(kind="external", model="", program="none.py"))


@pytest.mark.parametrize("name", ["hpsv3", "vqascore", "mps"])
def test_the_programs_say_what_their_environment_lacks(name):
    assert (PROGRAMS / f"{name}.txt").is_file()
    with pytest.raises(UserError, match=rf"(is not installed|is installed) in .*, |{name}\.txt"):
        load_reward(Reward(kind="external", model="x", program=str(PROGRAMS / f"{name}.py")))


class Part(torch.nn.Module):
    """What a pickled network is made of: weights, a shared one, buffers, and an attribute of another class."""

    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(3, 2)
        self.tied = self.inner
        self.register_buffer("kept", torch.arange(3.0))
        self.register_buffer("dropped", torch.zeros(1), persistent=False)
        self.odd = {"path": Path("x"), "sizes": {1, 2}}


class Harm:
    def __reduce__(self):
        return print, ("code in the file ran",)


def test_a_pickled_network_gives_its_tensors_and_runs_nothing(tmp_path, capfd):
    network = Part().half()
    network.harm = Harm()
    torch.save(network, tmp_path / "whole.pth")
    done = subprocess.run(
        [sys.executable, PROGRAMS / "convert.py", tmp_path / "whole.pth", tmp_path / "tensors.safetensors"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "ran" not in done.stdout + done.stderr, done.stderr
    with safe_open(tmp_path / "tensors.safetensors", "pt") as file:
        assert file.metadata()["source_sha256"] == done.stdout.split()[0]
        found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert found.keys() == network.state_dict().keys() and found["kept"].dtype == torch.float16
    assert all(torch.equal(found[name], tensor) for name, tensor in network.state_dict().items())


def test_a_file_without_a_network_is_refused(tmp_path):
    convert = runpy.run_path(str(PROGRAMS / "convert.py"))["convert"]
    torch.save({"a": torch.zeros(1)}, tmp_path / "state.pth")
    with pytest.raises(ValueError, match="holds no pickled network"):
        convert(str(tmp_path / "state.pth"), str(tmp_path / "out.safetensors"))


def test_a_conversion_that_breaks_off_leaves_what_was_there(tmp_path, monkeypatch):
    convert = runpy.run_path(str(PROGRAMS / "convert.py"))["convert"]
    torch.save(Part(), tmp_path / "whole.pth")
    (tmp_path / "out.safetensors").write_bytes(b"an earlier one")

    def full(tensors, path, metadata):
        Path(path).write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setitem(convert.__globals__, "save_file", full)
    with pytest.raises(OSError, match="No space"):
        convert(str(tmp_path / "whole.pth"), str(tmp_path / "out.safetensors"))
    assert (tmp_path / "out.safetensors").read_bytes() == b"an earlier one"
