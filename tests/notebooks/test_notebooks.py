"""The notebooks run from the first cell to the last, away from the checkout, with small sizes."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, Dict

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("popsparse_py._core", reason="the compiled core is not built")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
SMALL = {  # what replaces the values of the cell tagged "parameters"
    "00_quickstart": "M, K, N = 256, 128, 32",
    "01_popsparse_spmm": 'large = {"block_size": 16, "shape": [16, 16], "batch_size": 64, "density": 1 / 16}',
    "02_planner_report": "M, K, N = 512, 512, 64",
    "03_prune_and_finetune": "HIDDEN, EPOCHS, RETRAIN = 64, 2, 1",
    "04_dynamic_sparse_training": "HIDDEN, EPOCHS, SEEDS = 128, 4, (0,)",
}
TOLD = {  # what a run must print
    "00_quickstart": (r"cycles counted", r"ipu +skipped: ", r"StaticSparseLinear\(in_features=128"),
    "01_popsparse_spmm": (r"ipu model, dynamic +largest error \d", r"skipped: ", r"static SpMM +[\d,]+ cycles"),
    "02_planner_report": (r"on 8 tiles: fits (True|False)", r"published partitioner: [\d,]+ cycles"),
    "03_prune_and_finetune": (r"density 1/16 +pruned \d", r"dense [\d,]+ B, sparse [\d,]+ B", r"on bow \(predicted\)"),
    "04_dynamic_sparse_training": (r"RigL +\d", r"equal, to the last bit"),
}


def read(name: str) -> Any:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def printed(book: Any) -> str:
    return "\n".join(
        output.get("text", "") + str(output.get("data", {}).get("text/plain", ""))
        for cell in book.cells
        for output in cell.get("outputs", [])
    )


def test_every_notebook_is_listed() -> None:
    assert NAMES == sorted(SMALL) == sorted(TOLD)


@pytest.mark.parametrize("name", NAMES)
def test_notebook_is_stored_without_outputs_and_installs_first(name: str) -> None:
    book = read(name)
    nbformat.validate(book)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert '"pip", "install"' in code[0].source
    assert [cell.metadata.get("tags") for cell in code].count(["parameters"]) == 1
    assert not any(re.search(r"[\"'](/|~|[A-Z]:\\)", cell.source) for cell in code), "a path is assumed"


@pytest.mark.parametrize("name", NAMES)
def test_notebook_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", ":".join(path for path in sys.path if path))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    book = read(name)
    for at, cell in enumerate(book.cells):
        if cell.metadata.get("tags") == ["parameters"]:
            book.cells.insert(at + 1, nbformat.v4.new_code_cell(SMALL[name]))
            break
    resources: Dict[str, Any] = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(book, timeout=240, kernel_name="python3", resources=resources).execute()
    for pattern in TOLD[name]:
        assert re.search(pattern, printed(book)), f"{name} does not print {pattern}:\n{printed(book)}"
