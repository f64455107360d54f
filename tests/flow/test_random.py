import numpy as np

from pnapo.flow.random import prior_noise, stream

PINNED = [-0.6174841523170471, -0.24542221426963806, -0.6210380792617798]


def test_a_stream_depends_on_its_whole_key_and_on_nothing_else():
    keys = [("draw", 1, "a"), ("draw", 1, "b"), ("draw", 2, "a"), ("draw", "1", "a"), ("draw1", "a"), ("draw", 12)]
    first = [stream(*key).random() for key in keys]
    assert len(set(first)) == len(keys)
    assert [stream(*key).random() for key in reversed(keys)] == first[::-1]


def test_prior_noise_is_standard_normal_and_pinned():
    """The pinned values are the promise that stored noise can be drawn again on another machine and version."""
    noise = prior_noise(7, "0123456789abcdef", 1, (64, 8, 8))
    assert noise.dtype == np.float32 and noise.shape == (64, 8, 8)
    assert abs(noise.mean()) < 0.06 and abs(noise.std() - 1) < 0.04
    assert noise.ravel()[:3].tolist() == PINNED
