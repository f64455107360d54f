"""The world's tokenizers: the same in every process, and whole words."""

from pnapo.world.captions import words
from pnapo.world.text import _merges, clip_tokenizer, t5_tokenizer


def test_merges_are_the_most_frequent_pairs_and_ties_go_by_the_alphabet():
    merges = _merges()
    assert merges[:4] == [("i", "n"), ("e", "s</w>"), ("a", "r"), ("r", "o")]
    assert merges[-2:] == [("w", "ith</w>"), ("y", "ellow</w>")] and len(merges) == 321


def test_every_word_of_the_grammar_is_one_token():
    for tokenizer, around in ((clip_tokenizer(), 2), (t5_tokenizer(), 1)):
        assert {len(tokenizer(word).input_ids) for word in words()} == {1 + around}
    tokens = clip_tokenizer()("a red ring über 🎈").input_ids
    assert clip_tokenizer().decode(tokens, skip_special_tokens=True) == "a red ring über 🎈"
