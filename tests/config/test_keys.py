"""Keys and files as YAML reads them, which is not always as they were meant."""

from pathlib import Path

import pytest
from snakemake.common.configfile import load_configfile

from pnapo.config import resolve_run, validate
from pnapo.config.loading import merge, read_yaml
from pnapo.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("read", [read_yaml, load_configfile], ids=["pnapo", "snakemake"])
def test_the_key_on_needs_no_quotes(tmp_path, read):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("runs: {pnapo: {on: {flux: {beta: 5}}}}\n")  # YAML 1.1 reads the key as true
    config = validate(merge(read(ROOT / "config.yaml"), read(overlay)))
    assert resolve_run(config, "flux", "pnapo")["beta"] == 5 != resolve_run(config, "sd3", "pnapo")["beta"]


def test_neither_of_two_spellings_is_dropped_in_silence(raw, tmp_path):
    raw["runs"]["pnapo"] |= {"on": {"flux": {"beta": 5}}, True: {"flux": {"steps": 5}}}
    with pytest.raises(UserError, match=r"^config\.yaml: the setting on stands twice"):
        validate(raw)
    path = tmp_path / "both.yaml"
    path.write_text("on: 1\n'on': 2\n")
    with pytest.raises(UserError, match="'on' stands twice, in lines 1 and 2"):
        read_yaml(path)


@pytest.mark.parametrize(("text", "said"), [("# all of it\n", "but is empty"), ("- a\n", "but holds a list")])
def test_what_a_file_holds_instead_is_said(tmp_path, text, said):
    path = tmp_path / "other.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        read_yaml(path)
