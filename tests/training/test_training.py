"""Training that changes the pattern: which blocks leave and come, what is kept, and that it can be taken up again."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from math import cos, pi
from pathlib import Path
from typing import Any, Callable, List, Tuple

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("popsparse_py._core", reason="the compiled core is not built")

from torch import Tensor, nn  # noqa: E402

from popsparse_planner import BlockPattern  # noqa: E402
from popsparse_planner.errors import FormatError, ModelError, PatternError, PlanError  # noqa: E402
from popsparse_py.nn import DynamicSparseLinear  # noqa: E402
from popsparse_py.training import SET, GradualMagnitude, RigL  # noqa: E402
from popsparse_py.training.criteria import dense_block_scores  # noqa: E402

B = 4


def model_of(density: float = 0.25, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    first = DynamicSparseLinear(24, 32, density=density, block_size=B, headroom=0.0)
    second = DynamicSparseLinear(32, 18, density=density, block_size=B, headroom=0.0)  # ragged
    return nn.Sequential(first, nn.Tanh(), second)


def batches(count: int, seed: int = 1) -> List[Tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    return [(torch.randn(16, 24, generator=generator), torch.randn(16, 18, generator=generator)) for _ in range(count)]


def train(model: nn.Module, optimizer: Any, method: Any, data: List[Tuple[Tensor, Tensor]]) -> List[float]:
    """The losses of one step for each batch."""
    losses = []
    for x, y in data:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        if method is not None:
            method.step()
        losses.append(loss.item())
    return losses


def patterns(model: nn.Module) -> List[BlockPattern]:
    return [one.pattern for one in model.modules() if isinstance(one, DynamicSparseLinear)]


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=1e-2)


# --- which blocks leave and come


def test_rigl_replaces_the_least_blocks_by_those_of_the_largest_gradient() -> None:
    model, (x, y) = model_of(), batches(1)[0]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9)  # values stay, so that they can be recomputed
    method = RigL(interval=1, stop=10, drop_fraction=0.5).attach(model, optimizer)
    before = patterns(model)
    dense = [one.to_linear().weight.detach().clone().requires_grad_() for one in (model[0], model[2])]
    hidden = nn.functional.linear(x, dense[0], model[0].bias.detach()).tanh()
    nn.functional.mse_loss(nn.functional.linear(hidden, dense[1], model[2].bias.detach()), y).backward()
    train(model, optimizer, method, [(x, y)])
    share = 0.25 * (1 + cos(pi / 10))
    for layer, old, w in zip((model[0], model[2]), before, dense):
        count = int(share * old.nnz_blocks)
        norms, gradient = (dense_block_scores(t, B).numpy() for t in (w, w.grad))
        stored = sorted(zip(old.rows, old.cols), key=lambda place: norms[place])
        kept = set(stored[count:])
        others = [place for place in np.ndindex(*old.block_grid) if place not in kept]
        grown = set(sorted(others, key=lambda place: -gradient[place])[:count])
        new = layer.pattern
        assert count > 0
        assert set(zip(new.rows.tolist(), new.cols.tolist())) == kept | grown
        after = layer.to_linear().weight.detach()
        mask = (
            torch.from_numpy(old.to_mask()).repeat_interleave(B, 0).repeat_interleave(B, 1)[: w.shape[0], : w.shape[1]]
        )
        kept_mask = after != 0
        torch.testing.assert_close(after, torch.where(kept_mask & mask, w.detach(), torch.zeros(())), rtol=0, atol=0)
        momentum = optimizer.state[layer.values]["momentum_buffer"]
        fresh = [at for at, place in enumerate(zip(new.rows, new.cols)) if place not in set(stored)]
        assert not momentum[fresh].any()
        assert momentum[: new.nnz_blocks].any()


def test_the_dense_gradient_exists_only_at_update_steps() -> None:
    model, data = model_of(), batches(5)
    optimizer = adam(model)
    method = RigL(interval=2, stop=4).attach(model, optimizer)
    collected = []

    class Spy:
        def step(self) -> None:
            try:
                collected.append(tuple(model[0].dense_grad().shape))
            except PlanError:
                collected.append(None)
            method.step()
            with pytest.raises(PlanError, match="dense gradient"):
                model[0].dense_grad()

    train(model, optimizer, Spy(), data)
    assert collected == [None, (32, 24), None, (32, 24), None]
    assert method.steps == 5


def test_rigl_fraction_falls_as_half_a_cosine_and_stops() -> None:
    method = RigL(interval=10, stop=100, drop_fraction=0.4)
    assert [method.fraction(step) for step in (0, 50, 100)] == pytest.approx([0.4, 0.2, 0.0])
    assert RigL(interval=10, drop_fraction=0.4).fraction(10**6) == 0.4
    model = model_of()
    method = RigL(interval=1, stop=2, drop_fraction=0.5).attach(model, None)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    train(model, optimizer, method, batches(2))
    settled = patterns(model)
    train(model, optimizer, method, batches(3))
    assert patterns(model) == settled


def test_set_grows_at_random_places_by_its_seed() -> None:
    found = []
    for seed in (5, 5, 6):
        model = model_of()
        optimizer = adam(model)
        method = SET(interval=1, drop_fraction=0.5, seed=seed).attach(model, optimizer)
        first = patterns(model)
        update = None
        for x, y in batches(1):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x), y).backward()
            optimizer.step()
            update = method.step()
        assert update is not None
        assert update.step == 1
        assert update.density == pytest.approx(sum(p.nnz_blocks for p in first) / (8 * 6 + 5 * 8))
        for layer, old in zip((model[0], model[2]), first):
            name = "0" if layer is model[0] else "2"
            assert layer.pattern.nnz_blocks == old.nnz_blocks
            assert update.dropped[name] == update.grown[name] == (old - layer.pattern).nnz_blocks
            assert 0 < update.grown[name] <= old.nnz_blocks // 2
        found.append(patterns(model))
    assert found[0] == found[1] != found[2]


def test_gradual_pruning_follows_its_cubic_and_keeps_the_largest() -> None:
    model = model_of(density=1.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    method = GradualMagnitude(0.125, begin=1, end=5, interval=2).attach(model, optimizer)
    seen = []
    for x, y in batches(7):
        train(model, optimizer, method, [(x, y)])
        seen.append(model[0].pattern.nnz_blocks)
    expected = [0.125 + 0.875 * (1 - (min(t, 5) - 1) / 4) ** 3 for t in range(1, 8)]
    blocks = [round(d * 48) for d in expected]
    assert seen == [48, 48, blocks[2], blocks[2], 6, 6, 6]
    norms = dense_block_scores(model_of(density=1.0)[0].to_linear().weight, B).flatten()
    rows, cols = model[0].pattern.rows.astype(int), model[0].pattern.cols.astype(int)
    assert set((rows * 6 + cols).tolist()) == set(norms.topk(6).indices.tolist())


def test_gradual_pruning_by_layer() -> None:
    model = model_of(density=1.0)
    with pytest.raises(ModelError, match="no density is given for 2: got 0"):
        GradualMagnitude({"0": 0.5}, end=2).attach(model)
    method = GradualMagnitude({"0": 0.5, "2": 0.25}, end=2, interval=1).attach(model, None)
    train(model, torch.optim.SGD(model.parameters(), lr=0.1), method, batches(2))
    assert [p.density for p in patterns(model)] == [0.5, 0.25]


# --- the same losses as dense layers with a mask


class MaskedLinear(nn.Module):
    """A dense layer whose weight, and what the optimizer makes of it, is masked."""

    def __init__(self, like: Any) -> None:
        super().__init__()
        self.dense = like.to_linear()
        self.set_pattern(like.pattern)

    def set_pattern(self, pattern: BlockPattern) -> None:
        b, (m, k) = pattern.block_size, pattern.shape
        mask = np.repeat(np.repeat(pattern.to_mask(), b, 0), b, 1)[:m, :k]
        self.mask = torch.from_numpy(mask)
        with torch.no_grad():
            self.dense.weight *= self.mask

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.dense.weight * self.mask, self.dense.bias)


OPTIMIZERS = [
    lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=1e-3),
    lambda p: torch.optim.AdamW(p, lr=1e-2),
]


@pytest.mark.parametrize("make", OPTIMIZERS)
@pytest.mark.parametrize("kind", [None, RigL, SET])
def test_losses_are_those_of_masked_dense_layers_step_by_step(make: Callable, kind: Any) -> None:
    model, data = model_of(), batches(20)
    reference = nn.Sequential(MaskedLinear(model[0]), nn.Tanh(), MaskedLinear(model[2]))
    optimizer, other = make(model.parameters()), make(reference.parameters())
    method = None if kind is None else kind(interval=4, drop_fraction=0.5).attach(model, optimizer)
    changes = 0
    for x, y in data:
        (loss,) = train(model, optimizer, method, [(x, y)])
        (expected,) = train(reference, other, None, [(x, y)])
        assert loss == pytest.approx(expected, rel=2e-5)
        for layer, masked in ((model[0], reference[0]), (model[2], reference[2])):
            changes += follow(layer.pattern, masked, other)
            torch.testing.assert_close(layer.to_linear().weight, masked.dense.weight, rtol=1e-3, atol=2e-5)
    assert (changes > 0) == (method is not None)


def follow(pattern: BlockPattern, masked: MaskedLinear, optimizer: Any) -> int:
    """Give the reference the new pattern: what leaves is 0, what comes starts at 0, also in the optimizer; 1 if so."""
    before = masked.mask
    masked.set_pattern(pattern)
    for state in optimizer.state[masked.dense.weight].values():
        if isinstance(state, Tensor) and state.dim() == 2:
            state *= before & masked.mask
    return int(not torch.equal(before, masked.mask))


# --- saved and taken up again

METHODS = {
    "rigl": lambda: RigL(interval=3, stop=40, drop_fraction=0.5),
    "set": lambda: SET(interval=3, seed=4),
    "gradual": lambda: GradualMagnitude(0.1, begin=2, end=14, interval=3),
}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("stop_at", [5, 6])
def test_training_resumes_bit_by_bit(name: str, stop_at: int) -> None:
    data, density = batches(16), 1.0 if name == "gradual" else 0.25
    whole = model_of(density)
    optimizer = adam(whole)
    expected = train(whole, optimizer, METHODS[name]().attach(whole, optimizer), data)

    model = model_of(density)
    optimizer = adam(model)
    method = METHODS[name]().attach(model, optimizer)
    losses = train(model, optimizer, method, data[:stop_at])
    file = io.BytesIO()
    torch.save([one.state_dict() for one in (model, optimizer, method)], file)
    file.seek(0)
    model = model_of(density, seed=9)
    optimizer = adam(model)
    method = METHODS[name]().attach(model, optimizer)
    for one, state in zip((model, optimizer, method), torch.load(file, weights_only=True)):
        one.load_state_dict(state)
    losses += train(model, optimizer, method, data[stop_at:])
    assert losses == expected
    assert patterns(model) == patterns(whole)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), whole.parameters()))


# --- bad input


def test_wrong_use_is_told() -> None:
    model = model_of()
    with pytest.raises(PlanError, match=r"no model is attached: call attach\(model, optimizer\) first"):
        RigL().step()
    with pytest.raises(PlanError, match=r"layer 0: the dense gradient has seen no backward pass yet"):
        RigL(interval=1).attach(model).step()
    with pytest.raises(ModelError, match=r"Sequential has no DynamicSparseLinear layer: sparsify_\(model, .*dynamic"):
        SET().attach(nn.Sequential(nn.Linear(4, 4)))
    for make, message in (
        (lambda: RigL(interval=0), "interval of at least 1"),
        (lambda: SET(stop=-1), "stop of at least 0"),
        (lambda: RigL(drop_fraction=0), r"drop_fraction must lie in \(0, 1\], got 0"),
        (lambda: GradualMagnitude(0.5, begin=3, end=3), "0 <= begin < end, got begin 3 and end 3"),
    ):
        with pytest.raises(PlanError, match=message):
            make()
    for make in (lambda: GradualMagnitude(0, end=3), lambda: SET(criterion="l3")):
        with pytest.raises(PatternError):
            make()
    with pytest.raises(PlanError, match=r"layer 2: the optimizer does not have this layer's values"):
        SET().attach(model, torch.optim.SGD(model[0].parameters(), lr=0.1))
    state = SET().attach(model).state_dict()
    with pytest.raises(ModelError, match="the state is of SET on 0, 2; this is RigL on 0, 2"):
        RigL().attach(model).load_state_dict(state)
    with pytest.raises(ModelError, match=r"the state is of SET on 0, 2; this is SET on 0$"):
        SET().attach(model[:2]).load_state_dict(state)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.filterwarnings("ignore:gradient of layer 0 at step")
def test_diverged_training_keeps_its_patterns(name: str) -> None:
    model, method = model_of(), METHODS[name]()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    method.attach(model, optimizer)
    before = patterns(model)
    with torch.no_grad():
        model[2].values[0, 1, 1] = float("nan")
    with pytest.raises(FormatError, match=r"layer [02] at step [235]: \d+ of \d+ blocks hold NaN or infinity"):
        train(model, optimizer, method, batches(5))
    assert patterns(model) == before


def test_an_overflown_gradient_is_no_reason_to_stop() -> None:
    model, (x, y) = model_of(), batches(1)[0]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    method = RigL(interval=1, drop_fraction=0.5).attach(model, optimizer)
    before = patterns(model)
    (nn.functional.mse_loss(model(x), y) * float("inf")).backward()  # the optimizer's step is left out, as scalers do
    with pytest.warns(
        RuntimeWarning, match="gradient of layer [02] at step 1 holds NaN or infinity: its pattern stays"
    ):
        method.step()
    assert patterns(model) == before
    optimizer.zero_grad()
    train(model, optimizer, method, [(x, y)])
    assert patterns(model) != before


def test_a_full_layer_stays_full() -> None:
    model = model_of(density=1.0)
    before = patterns(model)
    train(model, adam(model), RigL(interval=1).attach(model), batches(1))
    assert patterns(model) == before


PROCESS = """
import sys
import torch
from torch import distributed, nn
from popsparse_py.nn import DynamicSparseLinear
from popsparse_py.training import RigL

rank, store = int(sys.argv[1]), sys.argv[2]
distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
torch.manual_seed(0)
model = nn.parallel.DistributedDataParallel(nn.Sequential(DynamicSparseLinear(32, 32, density=0.25, block_size=4)))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
method = RigL(interval=2, drop_fraction=0.5).attach(model, optimizer)
torch.manual_seed(1 + rank)
for _ in range(4):
    optimizer.zero_grad()
    model(torch.randn(8, 32)).square().mean().backward()
    optimizer.step()
    update = method.step()
layer = model.module[0]
print(update.grown, layer.row.tolist(), layer.col.tolist(), layer.values.double().sum().item())
distributed.destroy_process_group()
"""


def test_processes_that_see_other_data_choose_the_same_blocks(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(rank), str(tmp_path / "store")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for rank in range(2)
    ]
    told = [run.communicate(timeout=120) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], told
    assert told[0][0] == told[1][0]
    assert "{'module.0': " in told[0][0]
