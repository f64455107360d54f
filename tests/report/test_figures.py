import re

import numpy as np
import pytest

from pnapo.report.figures import Bar, Curve, bars, colors_of, curves, histogram, inline, smooth


def test_runs_keep_their_colours():
    colors = colors_of(["base", *(f"r{i}" for i in range(8))])
    assert len(set(colors.values())) == 9
    assert colors_of(["base", "r0"])["r0"] == colors["r0"]


def test_running_mean_skips_what_is_not_finite():
    assert smooth(np.array([1, np.nan, 3.0, 5.0]), 3).tolist() == [1, 2, 4, 4]
    assert smooth(np.array([1.0, 2.0]), 0).tolist() == [1, 2]


def test_bars_say_what_they_show_and_follow_the_page():
    rows = [
        Bar("base", "#7d858c", 1.0, 1.0, 1.0, "1.00"),
        Bar("a & b", "#0072b2", 2.0, 1.5, 2.5, "2.00", published=3.0),
    ]
    svg = bars("n", "<HPS> $x$", rows, 1.0)
    assert svg == bars("n", "<HPS> $x$", rows, 1.0)
    shown = inline(svg, 'say "this" & that')
    assert "http" not in shown and "<style" not in shown and 'aria-label="say &quot;this&quot; &amp; that"' in shown
    assert {"2.00", "a &amp; b", "&lt;HPS&gt; $x$"} <= set(re.findall(r">([^<>]+)</text>", shown))
    assert "var(--c0, #0072b2)" in shown and "var(--card, #ffffff)" in shown


@pytest.mark.filterwarnings("error")
def test_degenerate_data_still_draws():
    flat = Bar("only", "#0072b2", 0.0, 0.0, 0.0, "0")
    nothing = Curve("nan", "#0072b2", np.arange(3.0), np.full(3, np.nan))
    assert "<svg" in bars("a", "t", [flat], 0.0)
    assert "<svg" in curves("b", "t", [Curve("one", "#0072b2", np.ones(1), np.ones(1)), nothing], (1.0, "rule"))
    assert "<svg" in histogram("c", "t", np.full(4, 0.5), "x", (0, 1), (0.5, "m"), (300.0, "β"))
