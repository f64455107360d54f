"""A pair set as a data set of the hub's layout: what comes back is what was given, to the last byte."""

import json
import shutil
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from pyarrow.compute import CastOptions

from pnapo.artifacts import read_manifest, read_table, write_table
from pnapo.artifacts.images import Images
from pnapo.errors import UserError
from pnapo.pairs import hub, hub_read
from pnapo.pairs.hub import export_pairs
from pnapo.pairs.hub_read import import_pairs, verify_export
from pnapo.pairs.labels import label
from pnapo.pairs.layout import images_beside, labels_beside, prompts_of
from pnapo.pairs.store import PairSet
from pnapo.pairs.verify import verify_pairs


def silent(line):
    pass


@pytest.fixture(scope="module")
def folder(world, made, decoded, tmp_path_factory):
    """A pair set as the workflow leaves it: samples, images and labels by two rewards (one tie), prompts beside them."""
    results = tmp_path_factory.mktemp("results")
    folder = results / "pairs" / "sd3"
    shutil.copytree(made.parent, folder)
    for number, manifest in enumerate(decoded):
        shutil.copytree(manifest.parent, folder / "images" / f"{number:05d}-of-{len(decoded):05d}")
    scores = np.random.default_rng(0).normal(size=(len(world.prompts), 2)).astype(np.float32)
    scores[3] = 0.25
    for name, table in (("hps", scores), ("joint", scores.astype(np.float64) / 3)):
        write_table(folder / "labels" / f"{name}.parquet", label(list(world.prompts["prompt_id"]), table))
    shutil.copy(world.table, results / "selected.parquet")
    (results / "prompts").mkdir()
    shutil.move(results / "selected.parquet", results / "prompts" / "selected.parquet")
    return folder


@pytest.fixture(scope="module")
def exported(folder, tmp_path_factory):
    """The export; not to be changed."""
    out = tmp_path_factory.mktemp("export") / "shapes"
    manifest = folder / "manifest.json"
    export_pairs(manifest, prompts_of(manifest), images_beside(manifest), labels_beside(manifest), out, silent)
    return out


def contents(folder):
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def test_what_was_exported_comes_back_to_the_last_byte(folder, exported, tmp_path):
    manifest = import_pairs(exported, tmp_path / "back", silent)
    back, given = contents(tmp_path / "back"), contents(folder)
    assert set(back) - set(given) == {"prompts.parquet"} and set(given) <= set(back)
    assert [name for name in given if back[name] != given[name]] == []
    assert verify_pairs(manifest) == [] and len(images_beside(manifest)) == 2
    pd.testing.assert_frame_equal(prompts_of(manifest), prompts_of(folder / "manifest.json"))


def test_a_row_says_all_by_itself(folder, exported, world):
    table = pq.read_table(exported / "data" / "train-00001-of-00002.parquet")
    pairs, labels = PairSet.open(folder / "manifest.json"), read_table(folder / "labels" / "hps.parquet")
    row, place = table.slice(2, 1).to_pylist()[0], 6 + 2
    assert row["prompt_id"] == pairs.prompt_ids[place] and row["prompt"] == world.prompts["prompt"][place]
    for k in (0, 1):
        for side in ("noise", "latent"):
            found = torch.tensor(row[f"{side}_{k}"], dtype=torch.float32).view(torch.int32)
            assert torch.equal(found, getattr(pairs, side)([place], [k])[0].view(torch.int32))
        assert row[f"hps_{k}"] == labels[f"score_{k}"][place]
    assert (row["hps_winner"], row["hps_gap"], row["hps_tie"]) == tuple(labels.loc[place, ["winner", "gap", "tie"]])
    pngs = list(Images(*images_beside(folder / "manifest.json")).encoded())
    assert row["image_1"] == {"bytes": pngs[2 * place + 1], "path": f"{row['prompt_id']}-1.png"}
    assert row["seed"] == 0 and json.loads(row["made_with"])["pairs"] == pairs.settings


def test_the_paths_of_images_are_not_looked_at(copy, folder, tmp_path):
    broken = pa.array([b"\xff"] * 6).cast(options=CastOptions(pa.string(), allow_invalid_utf8=True))

    def change(table):
        pictures = table["image_0"].combine_chunks().field("bytes")
        return put(table, "image_0", pa.StructArray.from_arrays([pictures, broken], ["bytes", "path"]))

    rewrite(copy, change)
    back = images_beside(import_pairs(copy, tmp_path / "back", silent))
    assert [file.read_bytes() for file in back] == [
        file.read_bytes() for file in images_beside(folder / "manifest.json")
    ]


def test_scores_of_several_types_become_of_one(copy, folder, tmp_path):
    for file in (copy / "data").glob("*.parquet"):
        table = pq.read_table(file)
        whole = {"hps_0": pa.array([10**18] * len(table)), "hps_1": pa.array([0.5] * len(table), pa.float32())}
        whole |= {"hps_winner": pa.array([0] * len(table)), "hps_loser": pa.array([1] * len(table))}
        whole |= {"hps_tie": pa.array([False] * len(table)), "hps_gap": pa.array([1e18] * len(table))}
        for name, values in whole.items():
            table = put(table, name, values)
        pq.write_table(table, file)
    manifest = import_pairs(copy, tmp_path / "back", silent)
    scores = read_table(labels_beside(manifest)["hps"])[["score_0", "score_1"]]
    assert {*scores.dtypes} == {np.dtype(np.float64)} and [*scores.loc[0]] == [1e18, 0.5]
    export_pairs(
        manifest, prompts_of(manifest), images_beside(manifest), labels_beside(manifest), tmp_path / "e", silent
    )


def test_samples_without_end_are_one_clear_line(copy, tmp_path):
    def change(table):
        names = [name for name in table.column_names if not name.startswith(("hps_", "joint_"))]
        text = table["made_with"][0].as_py().replace('"samples": 2', '"samples": 1000000000000')
        return put(table.select(names), "made_with", pa.array([text] * len(table)))

    for number in (0, 1):
        file = copy / "data" / f"train-0000{number}-of-00002.parquet"
        pq.write_table(change(pq.read_table(file)), file)
    with pytest.raises(UserError, match="no column 'noise_2'"):
        import_pairs(copy, tmp_path / "back", silent)


def test_noises_of_images_from_elsewhere_are_refused(copy, tmp_path):
    def change(text):
        found = json.loads(text)
        found["pairs"]["dataset"] = {"path": "a.parquet", "count": 12}
        return json.dumps(found)

    for file in (copy / "data").glob("*.parquet"):
        table = pq.read_table(file)
        pq.write_table(put(table, "made_with", pa.array([change(table["made_with"][0].as_py())] * len(table))), file)
    with pytest.raises(UserError, match="holds noises, but no such pairs are what its column 'made_with' tells of"):
        import_pairs(copy, tmp_path / "back", silent)


def test_files_may_be_cut_and_joined(folder, exported, tmp_path):
    """As a data set that was pushed and fetched again: one file, other row groups, no manifest."""
    whole = pa.concat_tables([pq.read_table(file) for file in sorted((exported / "data").iterdir())])
    (tmp_path / "other" / "data").mkdir(parents=True)
    pq.write_table(whole.replace_schema_metadata(None), tmp_path / "other" / "data" / "0.parquet", row_group_size=5)
    back = PairSet.open(import_pairs(tmp_path / "other", tmp_path / "back", silent))
    given = PairSet.open(folder / "manifest.json")
    rows = range(len(given))
    assert back.prompt_ids == given.prompt_ids and back.settings == given.settings
    assert torch.equal(back.noise(rows), given.noise(rows)) and torch.equal(back.latent(rows), given.latent(rows))


def test_a_few_rows_are_in_memory_at_a_time(folder, exported, tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "GROUP_BYTES", 1)
    manifest = folder / "manifest.json"
    export_pairs(
        manifest, prompts_of(manifest), images_beside(manifest), labels_beside(manifest), tmp_path / "e", silent
    )
    file = tmp_path / "e" / "data" / "train-00000-of-00002.parquet"
    assert pq.ParquetFile(file).num_row_groups == 6
    assert pq.read_table(file).equals(pq.read_table(exported / "data" / file.name))


def test_the_card_tells_the_hub_what_is_in_it(exported):
    text = (exported / "README.md").read_text("utf-8")
    head = yaml.safe_load(text.split("---")[1])
    assert head["configs"][0]["data_files"][0]["path"] == "data/train-*.parquet" and "license" not in head
    told = {entry["name"]: entry["dtype"] for entry in head["dataset_info"]["features"]}
    assert told["image_0"] == "image" and told["noise_1"] == {"array3_d": {"shape": [12, 8, 8], "dtype": "float32"}}
    assert list(told) == pq.read_schema(exported / "data" / "train-00000-of-00002.parquet").names
    assert head["dataset_info"]["splits"][0]["num_examples"] == 12


def test_the_datasets_library_reads_it_offline(exported, folder, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    found = datasets.load_dataset(str(exported), split="train", cache_dir=str(tmp_path / "cache"))
    pairs, row = PairSet.open(folder / "manifest.json"), found.with_format("numpy")[4]
    assert len(found) == len(pairs) and found[4]["image_0"].size == (32, 32)
    noise = pairs.noise([4], [1])[0].numpy()
    assert row["noise_1"].shape == (12, 8, 8) and (row["noise_1"].view(np.int32) == noise.view(np.int32)).all()
    assert "torch" in sys.modules and found.features["latent_0"].shape == (12, 8, 8)


@pytest.fixture
def copy(exported, tmp_path):
    shutil.copytree(exported, tmp_path / "copy")
    return tmp_path / "copy"


def rewrite(folder, change):
    """Change a data file's table, and its hash as well."""
    file = folder / "data" / "train-00001-of-00002.parquet"
    pq.write_table(change(pq.read_table(file)), file, write_page_checksum=True)
    content = read_manifest(folder / "manifest.json")
    hub.write_manifest(folder, hub.KIND, content["settings"], list(content["files"]), rows=content["rows"])


def put(table, name, values):
    return table.set_column(table.column_names.index(name), name, values)


def test_verify_finds_a_forged_noise_and_a_damaged_file(copy):
    assert verify_export(copy / "manifest.json") == []
    rewrite(copy, lambda table: put(table, "noise_0", table["noise_1"]))
    problems = verify_export(copy / "manifest.json")
    assert len(problems) == 6 and "is not what its key says" in problems[0] and "train-00001" in problems[0]
    file = copy / "data" / "train-00000-of-00002.parquet"
    file.write_bytes(file.read_bytes()[:-100])
    assert f"{file}: " in verify_export(copy / "manifest.json")[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda t: put(t, "noise_0", pa.array([[[[0.0]]]] * len(t), t["noise_0"].type)),
            "noise_0: not arrays of shape",
        ),
        (lambda t: put(t, "made_with", pa.array(["{}"] * len(t))), "made with different settings"),
        (lambda t: put(t, "image_1", pa.array([None] * len(t), t["image_1"].type)), "holds no bytes of an image"),
        (lambda t: t.drop_columns(["latent_1"]), "latent_1"),
        (lambda t: put(t, "latent_1", pa.array([1.0] * len(t))), "latent_1: not arrays of shape"),
        (lambda t: put(t, "prompt_id", pa.array([None] * len(t), pa.string())), "no text in column 'prompt_id'"),
        (lambda t: put(t, "made_with", pa.array([["a"]] * len(t))), "no text in column 'made_with'"),
        (lambda t: t[:0], r"train-00001-of-00002\.parquet: holds no rows"),
        (lambda t: t.append_column("noise_0", t["noise_0"]), "00001-of-00002.parquet: has two columns 'noise_0'"),
        (lambda t: t.drop_columns(["noise_0", "noise_1"]), "lacks the noises that its column 'made_with' tells of"),
        (lambda t: put(t, "prompt", pa.array(["a ring"] * len(t))), "is not the id of its prompt 'a ring'"),
        (lambda t: put(t, "hps_winner", pa.array(["0"] * len(t))), "labels hps: its column winner does not hold"),
        (lambda t: put(t, "hps_winner", t["hps_loser"]), "labels hps: row 6 is no label"),
        (
            lambda t: put(t, "hps_0", pa.array([float("nan")] * len(t))),
            "labels hps: the scores of row 6 are not finite",
        ),
        (lambda t: put(t, "hps_0", t["hps_1"]), "labels hps: the scores of row 6 .* its winner is the better one"),
        (lambda t: put(t, "hps_0", pa.array(["1"] * len(t))), "labels hps: the scores of row 0 are not finite numbers"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(copy, change, said, tmp_path):
    rewrite(copy, change)
    with pytest.raises(UserError, match=said) as error:
        import_pairs(copy, tmp_path / "back", silent)
    assert "\n" not in str(error.value) and not (tmp_path / "back" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: put(t, "prompt_id", pa.array([None] * len(t), pa.string())), "no text in column 'prompt_id'"),
        (lambda t: t[:0], "holds no rows"),
    ],
)
def test_an_export_that_cannot_be_verified_is_one_clear_line(copy, change, said):
    rewrite(copy, change)
    with pytest.raises(UserError, match=rf"train-00001-of-00002\.parquet: .*{said}"):
        verify_export(copy / "manifest.json")


def test_a_label_lacks_no_sample(copy, tmp_path):
    for file in (copy / "data").glob("*.parquet"):
        pq.write_table(pq.read_table(file).drop_columns(["hps_1"]), file)
    with pytest.raises(UserError, match=r"train-00000-of-00002\.parquet: no column 'hps_1' of its labels"):
        import_pairs(copy, tmp_path / "back", silent)


PLAIN = {"samples": 2, "steps": 8, "guidance": 1.0, "seed": 0, "batch": 4, "family": "sd3", "latent_shape": [12, 8, 8]}
PLAIN["model"] = "m"


def settings_text(**changed):
    return json.dumps({"pairs": PLAIN | changed, "images": {"batch": 2}})


def test_settings_are_read():
    assert hub_read._settings(settings_text(), "a.parquet")["pairs"] == PLAIN


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"pairs": 1}',
        "[" * 3000,
        settings_text(latent_shape=4),
        settings_text(latent_shape=[4, "8", 8]),
        settings_text(samples="2"),
        settings_text(model=None),
        settings_text(other=float("nan")),
        settings_text(other="big").replace('"big"', "1e999"),
        settings_text(other="\ud800"),
        settings_text().replace('"seed": 0', '"seed": 0, "seed": 0'),
    ],
)
def test_settings_that_are_none_are_one_clear_line(text):
    with pytest.raises(UserError, match="column 'made_with' does not say how"):
        hub_read._settings(text, "a.parquet")


def test_nothing_is_written_over_another_artefact(folder, exported, copy, tmp_path):
    shutil.copytree(folder, tmp_path / "pairs")
    manifest, before = folder / "manifest.json", contents(tmp_path / "pairs")
    with pytest.raises(UserError, match="holds another artefact"):
        export_pairs(manifest, prompts_of(manifest), images_beside(manifest), {}, tmp_path / "pairs", silent)
    for out in (copy, tmp_path / "pairs"):
        with pytest.raises(UserError, match="already; name an empty folder"):
            import_pairs(exported, out, silent)
    assert contents(tmp_path / "pairs") == before and contents(copy) == contents(exported)


def test_a_column_cannot_name_a_file_elsewhere(copy, tmp_path):
    strange = str(tmp_path / "elsewhere")
    for file in (copy / "data").glob("*.parquet"):
        table = pq.read_table(file)
        names = [
            name.replace("hps_", f"{strange}_", 1) if name.startswith("hps_") else name for name in table.column_names
        ]
        pq.write_table(table.rename_columns(names), file)
    with pytest.raises(UserError, match="elsewhere' is no name of a reward"):
        import_pairs(copy, tmp_path / "back", silent)
    assert not (tmp_path / "elsewhere.parquet").exists() and not (tmp_path / "back").exists()


def test_an_export_does_not_mix_with_another(folder, copy):
    manifest = folder / "manifest.json"
    (copy / "data" / "train-00000-of-00009.parquet").write_bytes(b"")
    with pytest.raises(UserError, match=r"train-00000-of-00009\.parquet of another export"):
        export_pairs(manifest, prompts_of(manifest), images_beside(manifest), {}, copy, silent)
    with pytest.raises(UserError, match="holds no exported pair set"):
        import_pairs(folder, copy / "back", silent)
