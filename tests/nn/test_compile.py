"""torch.compile, torch.export, torch.jit.trace and DistributedDataParallel see the operators and change nothing."""

import os
from pathlib import Path
from typing import Any

import pytest

import popsparse_py as ps

torch = pytest.importorskip("torch", reason="torch is not installed")

from nn.masked import assert_near  # noqa: E402
from torch._dynamo.utils import counters  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of torch's own tracing
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture(autouse=True)
def fresh_dynamo() -> Any:
    torch._dynamo.reset()
    counters.clear()
    torch.manual_seed(0)
    yield
    torch._dynamo.reset()


class Net(torch.nn.Module):
    """Static, then dynamic, with something between."""

    def __init__(self) -> None:
        super().__init__()
        self.first = ps.StaticSparseLinear(24, 30, density=0.5, block_size=4)
        self.last = ps.DynamicSparseLinear(30, 10, density=0.5, block_size=4)

    def forward(self, x: Any) -> Any:
        return self.last(torch.nn.functional.gelu(self.first(x)))


def gradients(model: Any, run: Any, x: Any) -> Any:
    model.zero_grad()
    y = run(x)
    y.square().sum().backward()
    return [y, *(parameter.grad.clone() for parameter in model.parameters())]


def test_one_graph_forward_and_backward() -> None:
    model, x = Net(), torch.randn(6, 24)
    eager = gradients(model, model, x)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    for found, expected in zip(gradients(model, compiled, x), eager):
        assert_near(found, expected)
    assert counters["stats"]["unique_graphs"] == 1


def test_inductor() -> None:
    """Generates C++ and compiles it, which takes most of the time of these tests: one layer only."""
    model, x = ps.DynamicSparseLinear(24, 30, density=0.4, block_size=4), torch.randn(6, 24)
    compiled = torch.compile(lambda x: torch.relu(model(x)), fullgraph=True, backend="inductor")
    for found, expected in zip(gradients(model, compiled, x), gradients(model, lambda x: torch.relu(model(x)), x)):
        assert_near(found, expected)
    assert counters["stats"]["unique_graphs"] == 1


def test_one_graph_for_all_patterns() -> None:
    model = ps.DynamicSparseLinear(24, 30, density=0.4, block_size=4)
    optimizer = torch.optim.AdamW(model.parameters())
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    seen = set()
    for seed in range(6):
        pattern = ps.BlockPattern.random((30, 24), density=0.3 + 0.03 * seed, block_size=4, seed=seed)
        model.set_pattern(pattern, init="uniform", optimizer=optimizer)
        seen.add(pattern)
        x = torch.randn(5, 24)
        for found, expected in zip(gradients(model, compiled, x), gradients(model, model, x)):
            assert_near(found, expected)
        optimizer.step()
    assert len(seen) == 6
    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["recompiles"]
    assert not counters["graph_break"]


def test_compiled_products_read_a_pattern_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from popsparse_py.torch_ops import kept

    made = []
    monkeypatch.setattr(kept, "native_pattern", lambda p, make=kept.native_pattern: made.append(p) or make(p))
    model, x = Net(), torch.randn(6, 24)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    for _ in range(4):
        gradients(model, compiled, x)
    assert len(made) == 2


def test_dense_gradient_while_compiled() -> None:
    model, x = ps.DynamicSparseLinear(24, 30, density=0.4, block_size=4), torch.randn(5, 24)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    gradients(model, compiled, x)
    model.collect_dense_grad()
    y = gradients(model, compiled, x)[0]
    assert_near(model.dense_grad(), 2 * y.T @ x, scale=2)


def test_export_and_reload(tmp_path: Path) -> None:
    model, x = Net().eval(), torch.randn(6, 24)
    batch = torch.export.Dim("batch", min=2, max=1024)
    program = torch.export.export(model, (x,), dynamic_shapes=({0: batch},))
    assert "popsparse.linear" in str(program.graph)
    torch.export.save(program, tmp_path / "net.pt2")
    again = torch.export.load(tmp_path / "net.pt2").module()
    for n in (6, 33):
        x = torch.randn(n, 24)
        assert_near(again(x), model(x))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # checks of shapes are not traced
def test_traced_by_jit() -> None:
    model = Net().eval()
    traced = torch.jit.trace(model, (torch.randn(6, 24),))
    x = torch.randn(9, 24)
    assert_near(traced(x), model(x))


def worker(rank: int, folder: str, state: Any, x: Any) -> None:
    """One of two processes, with every second row of x; writes its averaged gradients."""
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    torch.manual_seed(rank)
    model = Net()  # rank 1 draws other patterns: DistributedDataParallel hands out what rank 0 has, these included
    if rank == 0:
        model.load_state_dict(state)
    parallel = torch.nn.parallel.DistributedDataParallel(model)
    for _ in range(2):
        model.zero_grad()
        parallel(x[rank::2]).square().mean().backward()
    dense = [layer.to_linear().weight.detach() for layer in (model.first, model.last)]
    torch.save([*(p.grad for p in model.parameters()), *dense], os.path.join(folder, f"{rank}.pt"))
    dist.destroy_process_group()


def test_two_processes_have_the_gradients_of_one(tmp_path: Path) -> None:
    model, x = Net(), torch.randn(8, 24)
    model(x).square().mean().backward()
    torch.multiprocessing.spawn(worker, (str(tmp_path), model.state_dict(), x), nprocs=2)
    for rank in range(2):
        expected = [parameter.grad for parameter in model.parameters()]
        expected += [layer.to_linear().weight for layer in (model.first, model.last)]
        found = torch.load(tmp_path / f"{rank}.pt")
        assert len(found) == len(expected)
        for one, wanted in zip(found, expected):
            assert_near(one, wanted)
