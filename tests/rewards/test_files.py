"""What holds for every reward: batches and order do not matter, bad files are named, code in files is never run."""

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pnapo.artifacts.pretrained import guarded
from pnapo.errors import UserError
from pnapo.rewards import load_reward
from pnapo.rewards.files import read_state_dict

KINDS = ["hps", "pickscore", "clip", "aesthetic", "imagereward"]


@pytest.mark.parametrize("kind", KINDS)
def test_batches_and_order_do_not_matter(rewards, examples, kind):
    scorer, order = load_reward(rewards[kind]), [4, 0, 6, 2, 1, 5, 3]
    whole = scorer.score(examples.images, examples.prompts)
    small = load_reward(rewards[kind].model_copy(update={"batch": 2}))
    mixed = small.score([examples.images[i] for i in order], [examples.prompts[i] for i in order])
    np.testing.assert_allclose(mixed, whole[order], atol=1e-5)
    np.testing.assert_allclose(scorer.score(examples.images[3:4], examples.prompts[3:4]), whole[3:4], atol=1e-5)


def changed(reward, tmp_path, change):
    """The reward with a copy of its weights file changed by `change`; the path to look for in the message, too."""
    if reward.kind in ("hps", "aesthetic"):
        file = tmp_path / Path(reward.checkpoint).name
        shutil.copy(reward.checkpoint, file)
        change(file)
        return reward.model_copy(update={"checkpoint": str(file)}), str(file)
    folder = tmp_path / "folder"
    shutil.copytree(reward.model.removeprefix("local-dir:"), folder)
    change(next(file for file in folder.iterdir() if file.suffix in (".safetensors", ".pt")))
    prefix = "local-dir:" if reward.model.startswith("local-dir:") else ""
    return reward.model_copy(update={"model": f"{prefix}{folder}"}), str(folder)


def foreign(file):
    tensors = {"some.other.weight": torch.zeros(3)}
    if file.suffix == ".safetensors":
        save_file(tensors, file, {"format": "pt"})
    else:
        torch.save(tensors, file)


def incomplete(file):
    if file.suffix == ".safetensors":
        state = load_file(file)
        state.pop(next(name for name in state if "projection" in name))
        save_file(state, file, {"format": "pt"})
        return
    loaded = torch.load(file)
    state = loaded.get("state_dict", loaded)
    state.pop(list(state)[-1])
    torch.save(loaded, file)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.unlink(),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
        lambda file: file.write_text("hello, I am a text\n"),
        foreign,
        incomplete,
    ],
    ids=["missing", "empty", "truncated", "text", "foreign", "incomplete"],
)
def test_bad_weights_are_one_clear_line(rewards, tmp_path, kind, change):
    reward, name = changed(rewards[kind], tmp_path, change)
    with pytest.raises(UserError) as error:
        load_reward(reward)
    message = str(error.value)
    assert name in message and "\n" not in message and len(message) < len(name) + 300


def test_weights_beside_those_in_the_folder_are_refused(rewards):
    with pytest.raises(UserError, match=r"leave out the weights other\.pt"):
        load_reward(rewards["clip"].model_copy(update={"weights": "other.pt"}))


class Code:
    """Unpickling it makes a folder."""

    def __init__(self, trace):
        self.trace = str(trace)

    def __reduce__(self):
        return os.mkdir, (self.trace,)


@pytest.mark.parametrize("save", [torch.save, lambda value, file: file.write_bytes(pickle.dumps(value))])
@pytest.mark.parametrize("kind", KINDS)
def test_code_in_a_weights_file_is_not_run(rewards, tmp_path, kind, save):
    def spoil(file):
        unsafe = file if file.suffix != ".safetensors" else file.with_name("pytorch_model.bin")
        file.unlink()
        save({"state_dict": Code(tmp_path / "ran"), "layers.0.weight": torch.zeros(2)}, unsafe)

    reward, name = changed(rewards[kind], tmp_path, spoil)
    with pytest.raises(UserError) as error:
        load_reward(reward)
    assert name in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "ran").exists()


def test_a_state_dict_may_be_wrapped_or_bare_or_in_safetensors(tmp_path):
    state = {"a": torch.arange(3.0)}
    torch.save(state, tmp_path / "bare.pt")
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "wrapped.pt")
    save_file(state, tmp_path / "plain.safetensors")
    for name in ("bare.pt", "wrapped.pt", "plain.safetensors"):
        assert list(read_state_dict(tmp_path / name)) == ["a"]
    torch.save([state], tmp_path / "list.pt")
    with pytest.raises(UserError, match=r"list\.pt: holds no tensors by name"):
        read_state_dict(tmp_path / "list.pt")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError(""), "it: cannot be loaded (ValueError)"),
        (RuntimeError("Errors in loading:\n\tno key\nmore"), "it: cannot be loaded (Errors in loading: no key)"),
        (KeyError("k"), "it: cannot be loaded ('k')"),
        (UserError("as it is"), "as it is"),
    ],
)
def test_what_a_library_raises_becomes_one_line(error, line):
    def fail():
        raise error

    with pytest.raises(UserError) as found:
        guarded(fail, "it")
    assert str(found.value) == line
