"""`pnapo verify` proves a pair set intact, also against someone who computes the hashes again."""

import pytest
import torch

from pnapo import cli
from pnapo.artifacts import read_manifest
from pnapo.config.schema import Pairs
from pnapo.pairs.shards import Shard, open_shard, write_shard
from pnapo.pairs.store import collect
from pnapo.pairs.verify import verify_pairs


def shards_of(manifest):
    return sorted((manifest.parent / "samples").glob("*.json"))


def rewrite(manifest, change, number=1):
    """Change a shard's content and compute every hash again, from the tensors up to the pair set's manifest."""
    path = shards_of(manifest)[number]
    shard, content = open_shard(path), read_manifest(path)
    settings = content["settings"]
    copy = Shard(shard.prompt_ids, shard.noise.clone(), shard.latent.clone())
    write_shard(path, change(copy), settings, settings["seed"], content["part"])
    wanted = Pairs(**{key: settings[key] for key in ("samples", "steps", "guidance", "seed", "batch")})
    collect(shards_of(manifest), wanted, manifest)


def swap(one, other):
    content = one.read_bytes(), other.read_bytes()
    one.write_bytes(content[1])
    other.write_bytes(content[0])


def test_an_intact_pair_set_has_no_problems(made, capsys):
    assert verify_pairs(made) == []
    cli.main(["verify", str(made.parent)])
    assert capsys.readouterr().out == f"{made}: ok (pairs)\n"


def flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (flip, "its content is not what"),
        (lambda file: file.write_bytes(file.read_bytes()[:-1]), "bytes instead of"),
        (lambda file: file.write_bytes(b""), "0 bytes instead of"),
        (lambda file: file.unlink(), "missing"),
    ],
    ids=["flipped bit", "truncated", "empty", "missing"],
)
def test_a_damaged_file_is_the_one_problem(manifest, damage, problem, capsys):
    file = shards_of(manifest)[1].with_suffix(".safetensors")
    damage(file)
    (line,) = verify_pairs(manifest)
    assert line.startswith(f"{file}: ") and problem in line
    with pytest.raises(SystemExit) as stopped:
        cli.main(["verify", str(manifest)])
    assert stopped.value.code == 1 and capsys.readouterr().out == (
        f"{line}; delete {file.with_suffix('.json')} and make it again\n"
    )


def test_swapped_shards_are_found(manifest):
    one, two = shards_of(manifest)
    swap(one.with_suffix(".safetensors"), two.with_suffix(".safetensors"))
    problems = verify_pairs(manifest)
    assert len(problems) == 2 and all(".safetensors: its content" in line for line in problems)
    swap(one, two)
    assert len(verify_pairs(manifest)) == 4


def test_forged_noise_is_found_though_the_hashes_fit(manifest):
    def exchange(shard):
        """The two noises of the third prompt change places: right numbers, wrong keys."""
        shard.noise[2] = shard.noise[2].flip(0)
        return shard

    rewrite(manifest, exchange)
    (line,) = verify_pairs(manifest)
    prompt = read_manifest(shards_of(manifest)[1])["prompt_ids"][2]
    file = shards_of(manifest)[1].with_suffix(".safetensors")
    assert f"{file}: the prior noise of prompt {prompt} is not what its key says" == line


def test_noise_is_compared_bit_for_bit(manifest):
    def least_change(shard):
        """The last noise by its last bit, and a latent by nothing."""
        shard.noise[5, 1].view(torch.int32)[-1, -1, -1] ^= 1
        return shard

    rewrite(manifest, least_change)
    (line,) = verify_pairs(manifest)
    assert read_manifest(shards_of(manifest)[1])["prompt_ids"][5] in line


def test_in_a_damaged_file_the_prompt_is_named_too(manifest):
    file = shards_of(manifest)[0].with_suffix(".safetensors")
    data = bytearray(file.read_bytes())
    data[-1] ^= 0x80  # the sign of the last number: the noise of the last prompt, as "noise" comes after "latent"
    file.write_bytes(data)
    prompt = read_manifest(shards_of(manifest)[0])["prompt_ids"][-1]
    first, second = verify_pairs(manifest)
    assert first.startswith(f"{file}: its content is not what") and str(file) in second and prompt in second


def test_other_tensors_than_declared_are_found(manifest):
    def spoil(shard):
        shard.latent[4, 1, 0, 0, 0] = torch.nan
        return shard

    rewrite(manifest, spoil)
    prompt = read_manifest(shards_of(manifest)[1])["prompt_ids"][4]
    file = shards_of(manifest)[1].with_suffix(".safetensors")
    assert verify_pairs(manifest) == [f"{file}: the latent of prompt {prompt} is not finite"]
    rewrite(manifest, lambda shard: Shard(shard.prompt_ids, shard.noise[:, :1], shard.latent[:, :1]))
    assert "tensors of shape [6, 1, 12, 8, 8] instead of [6, 2, 12, 8, 8]" in verify_pairs(manifest)[0]
