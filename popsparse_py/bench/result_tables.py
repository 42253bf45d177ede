"""The README's tables of results that take minutes to make: from the JSON that ships, on any machine, without torch."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Callable, Dict, List, Optional, Sequence

from . import plans_kept, product_table
from .readme import MarkerError

RESULTS = Path(__file__).with_name("results")
METHODS = ("static", "set", "rigl", "gradual", "retrain")
WORDS = {
    "dense": "dense",
    "static": "random, fixed",
    "set": "SET",
    "rigl": "RigL",
    "gradual": "gradual pruning",
    "retrain": "trained, pruned, retrained",
}


def with_tables(text: str) -> str:
    """`text` with fresh tables between the markers of digits, minilm, cpu and plans, where it has them.

    MarkerError for one marker without the other.
    """
    for name, lines in LINES.items():
        begin, end = markers(name)
        if begin not in text and end not in text:
            continue
        if (text.count(begin), text.count(end)) != (1, 1):
            raise MarkerError(f"expected the lines {begin} and {end} once each")
        before, rest = text.split(begin)
        text = before + "\n".join([begin, *lines(stored(name)), end]) + rest.split(end)[1]
    return text


def markers(name: str) -> Sequence[str]:
    """The lines before and after the table of that name."""
    verb = "predicted" if name == "plans" else "measured"
    return f"<!-- {name}: {verb} by `python -m popsparse_py.bench {name}` -->", f"<!-- end of {name} -->"


def stored(name: str) -> Dict[str, Any]:
    """The results of that name that ship with the package."""
    found: Dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def digits_lines(found: Dict[str, Any]) -> List[str]:
    """Results of bench.digits in Markdown: mean and standard deviation of the accuracy in percent."""
    cells = {(one["method"], one["density"]): one["accuracy"] for one in found["results"]}
    methods = [method for method in METHODS if any(method == key[0] for key in cells)]
    densities = sorted({density for method, density in cells if method != "dense"}, reverse=True)
    lines = [
        f"| density | {' | '.join(WORDS[method] for method in methods)} |",
        f"| ---: |{' ---: |' * len(methods)}",
    ]
    for density in densities:
        row = [_spread(cells.get((method, density))) for method in methods]
        lines.append(f"| 1/{round(1 / density)} | {' | '.join(row)} |")
    return [*lines, "", f"Dense: {_spread(cells[('dense', 1.0)])}. {_digits_caption(found)}"]


def _digits_caption(found: Dict[str, Any]) -> str:
    s = found["settings"]
    return (
        f"Test accuracy in percent, mean and standard deviation of {len(found['seeds'])} seeds; a perceptron "
        f"64-{s['hidden']}-{s['hidden']}-10 with its first two layers in blocks of {s['block_size']}, "
        f"{s['epochs']} epochs."
    )


def _spread(found: Optional[Sequence[float]]) -> str:
    if not found:
        return ""
    return f"{100 * mean(found):.1f} ± {100 * (stdev(found) if len(found) > 1 else 0.0):.1f}"


def minilm_lines(found: Dict[str, Any]) -> List[str]:
    """Results of bench.minilm in Markdown."""
    lines = [
        "| b | density | cosine, mean (least) | order of pairs | model on disk | encoder on the CPU |",
        "| ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for one in found["results"]:
        speed = one["speedup"]
        told = f"{speed:.2f}x faster" if speed >= 1 else f"**{1 / speed:.2f}x slower**"
        lines.append(
            f"| {one['block_size']} | {one['density']:g} | {one['cosine_mean']:.3f} ({one['cosine_min']:.3f}) | "
            f"{one['rank_correlation']:.3f} | {one['sparse_bytes'] / 1e6:.1f} MB | {told} |"
        )
    return [*lines, "", _minilm_caption(found)]


def _minilm_caption(found: Dict[str, Any]) -> str:
    first, timed, where = found["results"][0], found["timed"], found["machine"]
    return (
        f"Dense: {first['dense_bytes'] / 1e6:.1f} MB, the larger part of it embeddings, which stay. Cosine: of the "
        f"embeddings of {found['sentences']} sentences with the dense model's; order of pairs: rank correlation of "
        f"their similarities. Time of {timed['batch']} x {timed['tokens']} tokens on one thread of {where['cpu']} "
        f"({where['instructions']}), in turns with the dense model, whose linear layers take "
        f"{timed['linear_share']:.0%} of it."
    )


LINES: Dict[str, Callable[[Dict[str, Any]], List[str]]] = {
    "digits": digits_lines,
    "minilm": minilm_lines,
    "cpu": product_table.lines,
    "plans": plans_kept.readme_lines,
}
