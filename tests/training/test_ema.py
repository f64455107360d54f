import torch

from pnapo.training.ema import EMA


def test_ema_by_hand():
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    ema = EMA({"w": weight}, decay=0.75)
    with torch.no_grad():
        weight.copy_(torch.tensor([5.0, 2.0]))
    ema.update({"w": weight})
    assert ema.shadow["w"].tolist() == [2.0, -1.0]  # ¾·1 + ¼·5, ¾·(−2) + ¼·2
    ema.update({"w": weight})
    assert ema.shadow["w"].tolist() == [2.75, -0.25]
    with ema.instead_of({"w": weight}):
        assert weight.tolist() == [2.75, -0.25]


def test_the_average_stands_in_for_the_weights_and_is_restored():
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    ema = EMA({"w": weight}, decay=0.5)
    with torch.no_grad():
        weight.fill_(3.0)
    own = weight.data_ptr()
    with ema.instead_of({"w": weight}):
        assert weight.item() == 1.0
    assert weight.item() == 3.0 and weight.data_ptr() == own
    ema.load({"w": torch.tensor([7.0])})
    assert ema.shadow["w"].tolist() == [7.0]
