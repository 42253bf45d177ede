"""popsparse bench."""

import json
import platform
from typing import Any

import numpy as np
import pytest

pytest.importorskip("popsparse_py._core", reason="the compiled core is not built")
torch = pytest.importorskip("torch", reason="dense is torch.mm")
pytest.importorskip("scipy", reason="scipy is a peer here")

from fractions import Fraction  # noqa: E402

from popsparse_py.backends.cpu import processor_name  # noqa: E402
from popsparse_py.bench import mkl, peers, product_table, products, result_tables, scaling, xsmm  # noqa: E402
from popsparse_py.bench.__main__ import app as bench_app  # noqa: E402
from popsparse_py.bench.operands import DTYPES, PRODUCTS, Shape  # noqa: E402

SMALL = ("bench", "-m", 64, "-n", 16, "-b", "1,8", "-d", "1/4", "--seconds", 0)


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")
def test_json_holds_every_candidate(popsparse: Any) -> None:
    called = popsparse(*SMALL, "--against", "dense,torch.csr,torch.bsr,scipy.csr,scipy.bsr", "--json")
    assert called.code == 0
    elements, blocks = called.fields["comparisons"]
    assert set(elements["candidates"]) == {"popsparse", "dense", "torch.csr", "scipy.csr"}
    assert set(blocks["candidates"]) == {*elements["candidates"], "torch.bsr", "scipy.bsr"}
    for candidate in blocks["candidates"].values():
        assert 0 < candidate["min_seconds"] <= candidate["median_seconds"]
    assert blocks["candidates"]["popsparse"]["ours_is_faster_by_median"] == 1
    assert blocks["best_peer"] in blocks["candidates"]


def test_table_names_the_best_peer(popsparse: Any) -> None:
    called = popsparse(*SMALL, "--against", "dense,scipy.csr")
    assert "scipy.csr" in called.out
    assert "faster than every sparse library there on" in called.out
    quiet = popsparse(*SMALL, "--against", "dense", "--quiet")
    assert quiet.out == (
        "faster than every sparse library there on 0 of 0 shapes; no such library has the product on 2\n"
    )


def test_missing_libraries_are_named(popsparse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mkl, "library_path", lambda: None)
    called = popsparse(*SMALL, "--against", "mkl.csr", "--quiet")
    assert "not installed: mkl.csr" in called.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--against", "blas"), "--against: unknown blas; expected some of dense, torch.csr"),
        (("--product", "outer"), "--product: unknown outer; expected some of forward, transposed, sampled, linear"),
        (("--dtype", "int8"), "--dtype: unknown int8; expected some of float32, float16, bfloat16"),
        (("-n", "x"), "-n expects whole numbers of at least 1 with commas between, got 'x'"),
        (("-b", "7"), "m 1024 and k 1024 must be whole numbers of blocks of 7"),
        (("-d", "2"), "--density must lie in"),
    ],
)
def test_wrong_options_are_named(popsparse: Any, words: Any, message: str) -> None:
    called = popsparse("bench", *words)
    assert called.code == 2
    assert message in called.err


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")
def test_other_products_and_dtypes_stand_beside_the_forward_one(popsparse: Any) -> None:
    words = ("--product", ",".join(PRODUCTS), "--dtype", ",".join(DTYPES), "--against", "dense,torch.csr,scipy.csr")
    called = popsparse("bench", "-m", 64, "-k", 32, "-n", 16, "-b", 8, "-d", "1/4", "--seconds", 0, *words, "--json")
    assert called.code == 0
    found = {(one["product"], one["dtype"]): one for one in called.fields["comparisons"]}
    assert len(found) == len(PRODUCTS) * len(DTYPES)
    assert found["forward", "float32"]["of_forward_float32"] is None
    for (product, dtype), one in found.items():
        names = {"popsparse", "dense"}
        if dtype == "float32":
            names |= {"torch.csr", *(["scipy.csr"] if product in ("forward", "transposed") else [])}
        if (product, dtype) != ("forward", "float32"):
            names.add(peers.PLAIN)
            assert one["of_forward_float32"] > 0
        assert set(one["candidates"]) == names, (product, dtype)
        assert one["best_peer"] in (names - {"popsparse", "dense", peers.PLAIN} or {None})


def test_results_say_which_machine_they_are_of(popsparse: Any) -> None:
    fields = popsparse(*SMALL, "--against", "dense", "--json").fields
    assert fields["machine"]["versions"]["torch"] == torch.__version__
    assert fields["machine"]["processor"] == processor_name()
    assert platform.node() not in str(fields["machine"]).split()
    assert len(fields["load_averages"]["before"]) in (0, 3)


def test_scaling_pairs_one_thread_with_several(popsparse: Any) -> None:
    words = ("bench", "--scaling", "-m", 64, "-n", 16, "-b", 8, "-d", "1/4", "--seconds", 0)
    fields = popsparse(*words, "--json").fields
    (one,) = fields["scaling"]
    assert (one["threads"], one["pairs"], one["work"]) == (2, 8, 64 * 16 * 16)
    assert fields["verdict"] == "no product has nonzeros * n of at least 16,777,216"
    assert "quiet quarter" in popsparse(*words).out


def test_scaling_counts_the_pairs_that_were_disturbed_least() -> None:
    large = Shape(1024, 1024, 64, 16, Fraction(1, 4))
    found = scaling.Scaling(large, 2, [(1.0, 0.5)] * 2 + [(9.0, 0.5)] * 3 + [(1.0, 4.0)] * 3)
    assert (found.quiet, found.of_minima, found.work) == (2.0, 2.0, 2**24)
    assert scaling.verdict([found]).startswith(
        "2 threads are at least 1.6 times as fast as one where least disturbed on 1"
    )
    slow = scaling.Scaling(large, 2, [(1.0, 0.9)])
    assert "on 0 of 1 products" in scaling.verdict([slow])


def test_missing_libxsmm_is_named(popsparse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xsmm, "library_path", lambda: None)
    called = popsparse(
        "bench", "-m", 64, "-n", 16, "-b", 8, "-d", "1/4", "--seconds", 0, "--against", "libxsmm", "--json"
    )
    (one,) = called.fields["comparisons"]
    assert one["absent"] == {"libxsmm": "OSError: no libxsmm is found by the linker, and LIBXSMM names none"}


def test_shipped_results_show_where_we_lose() -> None:
    found = result_tables.stored("cpu")
    lines = product_table.lines(found)
    assert lines[0].startswith("Measured on ")
    assert any("slower**" in line for line in lines), "rows where we lose belong into the table"
    assert sum(line.startswith("| forward float32 | 1024 x 1024 | 16 |") for line in lines) >= 3
    forms = {(row["product"], row["dtype"]) for row in found["comparisons"]}
    assert forms >= {*((product, "float32") for product in PRODUCTS), ("forward", "float16"), ("forward", "bfloat16")}


def test_results_of_several_calls_become_one(popsparse: Any, tmp_path: Any) -> None:
    paths = [tmp_path / "forward.json", tmp_path / "transposed.json"]
    for path in paths:
        words = (*SMALL, "--product", path.stem, "--against", "dense", "--json")
        path.write_text(popsparse(*words).out, encoding="utf-8")
    with pytest.raises(SystemExit) as stopped:
        bench_app(["cpu", *map(str, paths), "--out", str(tmp_path / "cpu.json")])
    assert stopped.value.code == 0
    found = json.loads((tmp_path / "cpu.json").read_text(encoding="utf-8"))
    assert [row["product"] for row in found["comparisons"]] == ["forward"] * 2 + ["transposed"] * 2
    assert "4 products were timed, beside dense." in "\n".join(product_table.lines(found))


def test_wrong_product_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(peers.PEERS, "dense", lambda data, threads: {"dense": lambda: np.zeros((64, 16))})
    with pytest.raises(products.WrongResultError, match="dense is off by 1"):
        products.compare(Shape(64, 64, 16, 8, Fraction(1, 2)), ["dense"], 1, 0)
