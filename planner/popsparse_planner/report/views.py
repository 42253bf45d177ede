"""A report as tables that know nothing of how they are drawn: the same for a terminal and for a page."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Sequence, Tuple

from .facts import fraction_words
from .gpu import GPU_SCHEMA, gpu_headline

Fields = Mapping[str, Any]


class View(NamedTuple):
    """A table. name: of its section; columns: (title, whether numbers); rows: cells of text; note: a sentence below."""

    name: str
    title: str
    columns: Tuple[Tuple[str, bool], ...]
    rows: Tuple[Tuple[str, ...], ...]
    note: str = ""


def headline(fields: Fields) -> str:
    """The product and the machine in one line."""
    if fields["schema"] == GPU_SCHEMA:
        return gpu_headline(fields)
    p, target = fields["problem"], fields["target"]["name"]
    text = f"({p['m']:,} x {p['k']:,}) W times ({p['k']:,} x {p['n']:,}) X on {target}, {p['dtype']}"
    if p["block_size"] is None:
        return f"dense: {text}"
    b = p["block_size"]
    room = "has room for any" if p["mode"] == "dynamic" else "has"
    return (
        f"{p['mode']} ({p['strategy']}): {text} with {p['partials_dtype']} partials; "
        f"W {room} {p['nnz_blocks']:,} blocks of {b} x {b}, density {p['density']:.4g}"
    )


def views(fields: Fields) -> List[View]:
    """Every table in the order of the report; empty ones are left out."""
    made = [make(fields) for make in (_GPU_MAKERS if fields["schema"] == GPU_SCHEMA else _MAKERS)]
    return [view for view in made if view.rows]


def _partition(fields: Fields) -> View:
    part = fields["partition"]
    grid, tiles = part["grid"], fields["target"]["tiles"]
    dynamic = fields["problem"]["mode"] == "dynamic"
    compared = "fullest cell reckoned with / mean" if dynamic else "slowest tile / mean of those used"
    rows = [
        ("grid qm, qk, qn", f"{grid['qm']}, {grid['qk']}, {grid['qn']}"),
        (f"serial passes over {part['passes_over']}", f"{part['passes']:,}"),
        ("tiles used", f"{part['tiles_used']:,} of {tiles:,}"),
        (f"imbalance ({compared})", f"{part['imbalance']:.3f}"),
    ]
    homes = {"linear": "in order over all tiles", "parts": "with their parts of n"}.get(part["homes"])
    words = (("values", part["values"]), ("partials are summed at", part["reduce_at"]), ("X and Y lie", homes))
    rows += [(name, word) for name, word in words if word is not None]
    return View("partition", "Partition", (("what", False), ("value", True)), tuple(rows))


def _balance(fields: Fields) -> View:
    rows = []
    for name in ("cycles", "nonzeros", "bytes"):
        column = sorted(fields["tiles"][name])
        used = [value for value in column if value]
        mean = sum(used) / len(used) if used else 0
        cells = (column[0], column[len(column) // 2], mean, column[-1])
        rows.append((name, *(f"{cell:,.0f}" for cell in cells)))
    columns = (("per tile", False), ("least", True), ("median", True), ("mean of used", True), ("most", True))
    return View("tiles", "Tile balance", columns, tuple(rows))


def _memory(fields: Fields) -> View:
    memory = fields["memory"]
    if memory["capacity_bytes"] is None:
        return View("memory", "Memory", (), ())
    parts = sorted(memory["categories"], key=lambda c: (c["live"], -c["worst_tile_bytes"]))
    rows = [
        (c["category"], c["live"], *(f"{c[name]:,}" for name in ("worst_tile_bytes", "max_bytes", "total_bytes")))
        for c in parts
        if c["max_bytes"]
    ]
    share = memory["peak_bytes"] / memory["capacity_bytes"]
    total = (f"{memory['peak_bytes']:,} of {memory['capacity_bytes']:,} ({share:.1%})", "", "")
    rows.append(("total, excluding gaps", "", *total))
    title = f"Memory: bytes on the fullest tile ({memory['worst_tile']}) at its fullest moment"
    columns = (("category", False), ("live", False), ("fullest tile", True), ("most of any tile", True), ("chip", True))
    note = "Gaps are not modelled: including and excluding gaps are one number."
    return View("memory", title, columns, tuple(rows), note)


def _cycles(fields: Fields) -> View:
    cost, dense = fields["cycles"]["cost"], fields["cycles"]["dense_cost"]
    if cost is None:
        return View("cycles", "Cycles", (), ())
    names = [*fields["cycles"]["parts"], "total", "profiled"]
    rows = []
    for name in names:
        key, total = f"{name}_cycles", cost["total_cycles"]
        share = f"{cost[key] / total:.1%}" if total else ""
        rows.append((name, f"{cost[key]:,.0f}", share, "" if dense is None else f"{dense[key]:,.0f}"))
    columns = (("part", False), ("cycles", True), ("share", True), ("dense", True))
    note = "Profiled: without sync, which is what published rates count."
    if fields["cycles"]["published_estimate_cycles"] is not None:
        note += f" The published planner's own estimate: {fields['cycles']['published_estimate_cycles']:,} cycles."
    return View("cycles", "Cycles by part", columns, tuple(rows), note)


def _steps(fields: Fields) -> View:
    sums: Dict[Tuple[str, str], List[float]] = {}
    for step in fields["supersteps"]:
        entry = sums.setdefault((step["name"], step["kind"]), [0, 0.0])
        entry[0] += step["repeats"]
        entry[1] += step["cycles"]
    total = sum(cycles for _, cycles in sums.values())
    rows = [
        (name, kind, f"{times:,.0f}", f"{cycles:,.0f}", f"{cycles / total:.1%}")
        for (name, kind), (times, cycles) in sums.items()
    ]
    columns = (("step", False), ("kind", False), ("times", True), ("cycles", True), ("share", True))
    return View("supersteps", "BSP timeline: supersteps of one call", columns, tuple(rows))


def _flops(fields: Fields) -> View:
    flops = fields["flops"]
    roof = flops["roofline"]
    rows = [
        ("useful operations (2 nnz n)", f"{flops['useful_flops']:,}"),
        ("reached, TFLOP/s", f"{flops['tflops']:.2f}"),
        ("of the matrix peak", f"{flops['efficiency']:.1%}"),
        ("roof: matrix peak, TFLOP/s", f"{roof['matrix_peak_tflops']:.1f}"),
    ]
    optional = (
        ("roof: these codelets on even tiles, TFLOP/s", roof["codelet_tflops"], ".2f"),
        ("roof: exchange at this intensity, TFLOP/s", roof["exchange_tflops"], ".2f"),
        ("intensity, operations per byte received", roof["intensity_flops_per_byte"], ".2f"),
        ("dense product, TFLOP/s", flops["dense_tflops"], ".2f"),
    )
    rows += [(name, format(value, form)) for name, value, form in optional if value is not None]
    return View("flops", "Operations and roofs", (("what", False), ("value", True)), tuple(rows))


def _crossover(fields: Fields) -> View:
    cross = fields["crossover"]
    if not cross or not cross["cells"]:
        return View("crossover", "Crossover", (), ())
    cells = {(c["block_size"], c["density"]): c for c in cross["cells"]}
    rows = []
    for b in cross["block_sizes"]:
        row = [str(b)]
        for density in cross["densities"]:
            cell = cells.get((b, density))
            row.append("" if cell is None else f"{cell['speedup_vs_dense']:.2f}x" if cell["fits"] else "does not fit")
        even = cross["break_even"][str(b)]
        rows.append((*row, "none" if even is None else "all" if even >= 1 else f"{even:.3g}"))
    head = [(f"d = {fraction_words(density)}", True) for density in cross["densities"]]
    columns = (("b", True), *head, ("break-even d", True))
    note = "Uniform patterns of the same m, k, n and data types; short searches, large patterns by the closed form."
    if fields["problem"]["mode"] == "cuda":
        note = "Uniform patterns of the same m, k, n and data types; none where there would be too many blocks."
    if fields["problem"]["mode"] == "dynamic":
        note = "Dynamic plans for each density, of the same m, k, n and data types."
    return View("crossover", "Predicted speed-up over dense by block size and density", columns, tuple(rows), note)


def _buckets(fields: Fields) -> View:
    dynamic = fields["dynamic"]
    if dynamic is None or not dynamic["pass_cycles"]:
        return View("dynamic", "Dynamic", (), ())
    rows = [
        ("capacity, blocks of W", f"{dynamic['capacity_blocks']:,}"),
        ("cells, and tiles of each", f"{dynamic['cells']:,}, {dynamic['tiles_per_cell']:,}"),
        ("blocks that a cell's bucket holds", f"{dynamic['bucket_blocks']:,}"),
        ("bytes of it on each tile", f"{dynamic['bucket_bytes']:,}"),
    ]
    rows += [
        (f"cycles of {name.replace('_', '-')}", f"{cycles:,.0f}") for name, cycles in dynamic["pass_cycles"].items()
    ]
    return View("dynamic", "Buckets", (("what", False), ("value", True)), tuple(rows))


def _propagation(fields: Fields) -> View:
    found = None if fields["dynamic"] is None else fields["dynamic"]["propagation"]
    if found is None:
        return View("propagation", "Propagation", (), ())
    drawn = f"{found['simulated_patterns']:,} patterns drawn"
    rows = [
        (
            "probability that a pattern needs it",
            f"{found['model_probability']:.2%}",
            f"{found['simulated_probability']:.2%}",
        ),
        ("overfull cells of a pattern, mean", "", f"{found['mean_overfull_cells']:.3g}"),
        ("spilled blocks of a pattern, mean", "", f"{found['mean_spilled_blocks']:.3g}"),
        ("steps of a call, median", "", f"{found['median_steps']:,}"),
    ]
    if found["most_steps"] is not None:
        rows.append(("steps of a call, most", "", f"{found['most_steps']:,}"))
    title = "Propagation of uniform patterns of the planned density"
    columns = (("what", False), ("model", True), (drawn, True))
    return View("propagation", title, columns, tuple(rows))


def _kinds(fields: Fields) -> View:
    kinds = [] if fields["dynamic"] is None else fields["dynamic"]["kinds"]
    rows = []
    for one in kinds:
        numbers = (one["overfull_cells"], one["spilled_blocks"], one["steps"], one["total_cycles"])
        cells = ("" if number is None or not one["fits"] else f"{number:,.0f}" for number in numbers)
        rows.append((one["kind"], "yes" if one["fits"] else "no", *cells))
    columns = (
        ("pattern", False),
        ("fits", False),
        ("overfull cells", True),
        ("spilled blocks", True),
        ("steps", True),
        ("cycles", True),
    )
    return View("kinds", "One pattern of each kind that fills the plan's capacity", columns, tuple(rows))


def _candidates(fields: Fields) -> View:
    rows = []
    for one in fields["candidates"]:
        grid = one["grid"]
        numbers = (one["estimated_cycles"], one["total_cycles"], one["peak_bytes"])
        cells = ("" if number is None else f"{number:,.0f}" for number in numbers)
        place = f"{grid['qm']}, {grid['qk']}, {grid['qn']}"
        rows.append((one["name"], place, str(one["passes"]), *cells, one["reason"]))
    columns: Sequence[Tuple[str, bool]] = (
        ("candidate", False),
        ("qm, qk, qn", True),
        ("passes", True),
        ("closed form", True),
        ("cycles", True),
        ("bytes", True),
        ("why", False),
    )
    return View("candidates", f"Alternatives tried: {len(rows):,}", tuple(columns), tuple(rows))


def _validation(fields: Fields) -> View:
    checked = fields["validation"]
    error = checked["relative_error"]
    rows = [("relative error of the prediction", "unknown" if error is None else f"{error:.1%}")]
    if error is not None:
        rows += [("kept by", checked["covers"]), ("source", checked["source"])]
    rows += [("beyond what was measured", text) for text in checked["beyond_measurements"]]
    published = checked["published"]
    if published is not None:
        measured = published["profiled_cycles"]
        if measured is not None:
            rows.append((f"measured on a Bow ({published['of']}), profiled cycles", f"{measured:,.0f}"))
        if published["speedup_vs_dense"] is not None:
            speedup = f"{published['speedup_vs_dense']:.2f}x"
            rows.append((f"measured on a Bow ({published['of']}), speed-up over dense", speedup))
    counted = checked["counted"]
    if counted is not None:
        for name in ("total_cycles", "peak_tile_bytes"):
            number = counted["numbers"].get(name)
            if number is not None:
                rows.append((f"{name.replace('_', ' ')}, counted on the embedded model", f"{number['value']:,.0f}"))
        accuracy = counted.get("accuracy")
        if accuracy is not None:
            rows.append(("largest error of the run against float64", f"{accuracy['max_error']:.3g}"))
            rows.append(("every element within its bound", "yes" if accuracy["ok"] else "NO"))
    return View("validation", "How sure", (("what", False), ("value", False)), tuple(rows))


_MAKERS: Tuple[Callable[[Fields], View], ...] = (
    _partition,
    _balance,
    _memory,
    _steps,
    _cycles,
    _flops,
    _crossover,
    _buckets,
    _propagation,
    _kinds,
    _candidates,
    _validation,
)


def _bounds(fields: Fields) -> View:
    total = fields["verdict"]["seconds"]
    rows = [
        (b["bound"], b["meaning"], f"{b['amount'] / 1e6:,.1f} M{b['unit']}", f"{b['seconds'] * 1e6:,.1f}")
        for b in fields["bounds"]
    ]
    rows += [("predicted", "the largest of these, and launches", "", f"{total * 1e6:,.1f}")]
    rows += [("dense", "the same product with all of W", "", f"{fields['dense_seconds'] * 1e6:,.1f}")]
    columns = (("bound", False), ("what", False), ("amount", True), ("us", True))
    return View("bounds", "What takes the time", columns, tuple(rows))


def _kernel(fields: Fields) -> View:
    tile, counts = fields["tile"], fields["counts"]
    rows = [("kernel", f"{fields['kernel']}, {fields['target']['machine']}")]
    if tile is not None:
        rows += [
            ("rows x columns of Y of a block of threads", f"{tile['rows']:,} x {tile['columns']:,}"),
            ("blocks of threads, of a cluster", f"{tile['blocks_of_threads']:,}, {tile['cluster']}"),
            ("heaviest warp / mean", f"{counts['balance']:.3f}"),
            ("slabs of X copied", f"{counts['slabs_copied']:,} of {counts['slabs']:,}"),
        ]
    return View("kernel", "Kernel", (("what", False), ("value", True)), tuple(rows))


def _rates(fields: Fields) -> View:
    rows = [
        (name.replace("_", " "), f"{fact['value']:,.4g}", fact["unit"], fact["status"])
        for name, fact in fields["rates"].items()
    ]
    columns = (("of the GPU", False), ("value", True), ("unit", False), ("status", False))
    return View(
        "validation", "How sure", columns, tuple(rows), "No plan for a GPU was compared with a measurement yet."
    )


_GPU_MAKERS: Tuple[Callable[[Fields], View], ...] = (_bounds, _kernel, _crossover, _rates)
