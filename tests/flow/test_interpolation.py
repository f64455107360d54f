import torch

from pnapo.flow.interpolation import interpolate, velocity_target


def test_the_path_is_straight_with_velocity_u():
    generator = torch.Generator().manual_seed(0)
    x0, xT = (torch.randn(3, 2, 4, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    t, h = torch.tensor([0.0, 0.25, 1.0], dtype=torch.float64), 1e-3
    x = interpolate(x0, xT, t)
    assert torch.equal(x[0], x0[0])
    assert torch.equal(x[2], xT[2])
    assert torch.allclose(x[1], 0.75 * x0[1] + 0.25 * xT[1])
    slope = (interpolate(x0, xT, t + h) - x) / h
    assert torch.allclose(slope, velocity_target(x0, xT))
