"""What the program of evaluations takes for said, of a page as the report writes it."""

from html import escape

from pnapo.config import load_config
from trust.evaluation import CONFIG, TROUBLES, judge, warnings

HACKED = (
    "step 32: aesthetic, which it was trained on, rose by 2 while utility fell by 0.1: a sign of reward hacking; <b>"
)
BENT = "follows the noise of pairs made with guidance 6, but is trained without: these paths are bent"
SAID = [
    ("SD3, hacked, Held-out prompts", HACKED),
    ("SD3, bent, Held-out prompts", BENT),
    ("SD3, bent, Held-out prompts", "images of 32 pixels are compared with the base model's of 16"),
    ("hacked, well, bent", "one training seed: no more"),
]


def page(said):
    items = "\n".join(f"<li><strong>{escape(where)}:</strong> {escape(text)}.</li>" for where, text in said)
    return f'<ul><li><strong>no</strong> warning</li></ul><section id="warnings">\n<ul>{items}</ul>\n</section>'


def test_warnings_are_read_from_the_report():
    assert warnings(page(SAID)) == [(where, f"{text}.") for where, text in SAID]
    assert warnings('<section id="warnings"><p>No warning</p></section>') == warnings("") == []


def test_each_trouble_has_to_be_said_of_its_run():
    assert judge(warnings(page(SAID)), list(TROUBLES)) == ([], [])
    for number, name in enumerate(TROUBLES):
        rest = [said for place, said in enumerate(SAID) if place != number]
        assert judge(rest, list(TROUBLES)) == ([name], [])
    of_another = [("SD3, well, Held-out prompts", SAID[0][1]), *SAID[1:]]
    assert judge(of_another, list(TROUBLES)) == (["reward_hacking"], [SAID[0][1]])


def test_its_configuration_is_valid():
    assert {run for run, _ in TROUBLES.values()} < set(load_config(CONFIG).runs)
