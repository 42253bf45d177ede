"""popsparse bench."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("popsparse_py._core", reason="the compiled core is not built")
torch = pytest.importorskip("torch", reason="dense is torch.mm")
pytest.importorskip("scipy", reason="scipy is a peer here")

from fractions import Fraction  # noqa: E402

from popsparse_py.bench import mkl, peers, products  # noqa: E402

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
    assert quiet.out == "faster than every sparse library there on 2 of 2 shapes\n"


def test_missing_libraries_are_named(popsparse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mkl, "library_path", lambda: None)
    called = popsparse(*SMALL, "--against", "mkl.csr", "--quiet")
    assert "not installed: mkl.csr" in called.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--against", "blas"), "--against: unknown blas; expected some of dense, torch.csr"),
        (("-n", "x"), "-n expects whole numbers of at least 1 with commas between, got 'x'"),
        (("-b", "7"), "m 1024 and k 1024 must be whole numbers of blocks of 7"),
        (("-d", "2"), "--density must lie in"),
    ],
)
def test_wrong_options_are_named(popsparse: Any, words: Any, message: str) -> None:
    called = popsparse("bench", *words)
    assert called.code == 2
    assert message in called.err


def test_wrong_product_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(peers.PEERS, "dense", lambda data, threads: {"dense": lambda: np.zeros((64, 16))})
    with pytest.raises(products.WrongResultError, match="dense is off by 1"):
        products.compare(peers.Shape(64, 64, 16, 8, Fraction(1, 2)), ["dense"], 1, 0)
