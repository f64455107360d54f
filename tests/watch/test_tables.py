"""What tables and the settings of artefacts show, on rows."""

import pytest

from pnapo.watch.evaluation import guidance_mismatch, resolution_mismatch
from pnapo.watch.rewards import Gain, reward_hacking


def curve(*gains, width=0.1):
    return [Gain(10 * (i + 1), gain, gain - width, gain + width) for i, gain in enumerate(gains)]


def test_hacking_is_said_at_the_first_snapshot_that_shows_it():
    rising = curve(1, 2, 3)
    (found,) = reward_hacking({"hps": rising, "utility": curve(1, 0.5, 0.2)}, "hps")
    assert (found.step, found.since) == (20, 10) and "rose by 1 since step 10 while utility fell by 0.5" in found.text
    (found,) = reward_hacking({"hps": rising[-1:], "utility": curve(0, 0, -1)[-1:]}, "hps")
    assert (found.step, found.since) == (30, 0) and "over the base model" in found.text


@pytest.mark.parametrize(
    "curves",
    [
        {"hps": curve(1, 2), "utility": curve(1, 0.9)},  # within the intervals
        {"hps": curve(1, 1), "utility": curve(1, 0.2)},  # the reward does not rise
        {"hps": curve(1, 2), "utility": curve(1, 2)},
        {"utility": curve(1, 0)},  # the reward is not measured
        {"hps": curve(1, 2)},
    ],
)
def test_nothing_else_is_hacking(curves):
    assert list(reward_hacking(curves, "hps")) == []


def test_guidance_and_resolution_of_images_against_the_training():
    flux = {"family": "flux", "guidance": 1.0, "stop": 80, "run": {"path": "stored"}}
    assert [f.name for f in guidance_mismatch(flux, {"guidance": 3.5})] == ["guidance_mismatch"]
    assert not list(guidance_mismatch(flux, {"guidance": 1.0}))
    sd3 = {**flux, "family": "sd3"}
    assert not list(guidance_mismatch(sd3, {"guidance": 4.5}))
    assert [f.step for f in guidance_mismatch({**sd3, "guidance": 4.5}, {"guidance": 4.5})] == [80]
    assert [f.name for f in resolution_mismatch(sd3, {"resolution": 64}, 32)] == ["resolution_mismatch"]
    assert not list(resolution_mismatch(sd3, {"resolution": 32}, 32))
