import pytest

from pnapo.tables.labels import label


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("pnapo", "PNAPO"),
        ("pnapo_no_f", "PNAPO without f"),
        ("pnapo_rank_4", "PNAPO, rank 4"),
        ("pnapo_no_f_slow", "PNAPO without f, slow"),
        ("geneval", "GenEval"),
        ("geneval_hf", "GenEval-HF"),
        ("geneval_hf_low", "GenEval-HF, low"),
        ("my_method", "my method"),
        ("pnapos", "pnapos"),
    ],
)
def test_a_name_nobody_knows_follows_what_it_begins_with(name, shown):
    assert label(name) == shown
