"""The first lines of a report: fits? faster than dense, and how surely? what limits it? what would help?"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..cost import PARTS
from ..dense import DensePlan
from .facts import Plan, facts_of
from .uncertainty import cycle_range, speedup_range

_MEANING = {
    "compute": "multiplying",
    "exchange": "moving X, values, partials and Y between tiles",
    "sync": "waiting at barriers",
    "reduce": "summing and casting partials",
    "other": "launch, control and layout changes of X and Y",
}


def verdict_fields(plan: Plan, hint: Mapping[str, Any], dynamic: Optional[Mapping[str, Any]] = None) -> Dict[str, Any]:
    """The verdict in numbers, and as sentences in the order in which a reader asks; dynamic: that section, if any."""
    cost = plan.cost
    cycles = None if cost is None else cycle_range(cost, plan.target, facts_of(plan).problem.block_size, plan.mode)
    speedup = speedup_range(plan)
    fields: Dict[str, Any] = {
        "fits": plan.fits,
        "reason": "" if plan.fits else str(plan.shortfall or plan.reason),
        "total_cycles": None if cost is None else cost.total_cycles,
        "total_cycles_range": cycles,
        "seconds": None if cost is None else cost.seconds,
        "seconds_range": None if cycles is None or cost is None else [c / cost.clock_hz for c in cycles],
        "tflops": plan.tflops,
        "speedup_vs_dense": None if isinstance(plan, DensePlan) else plan.speedup_vs_dense,
        "speedup_range": speedup,
        "faster_than_dense": _faster(plan, speedup),
        "bottleneck": _bottleneck(plan),
        "hint": hint["best"],
        "hints_tried": hint["tried"],
    }
    fields["sentences"] = _sentences(plan, fields, dynamic)
    return fields


def _faster(plan: Plan, speedup: Optional[Tuple[float, float]]) -> Optional[str]:
    """ "yes", "no", "unsure" where the range holds 1; None for a dense plan or where dense has no prediction."""
    predicted = plan.speedup_vs_dense
    if isinstance(plan, DensePlan) or predicted is None or not plan.fits:
        return None
    low, high = speedup or (predicted, predicted)
    return "yes" if low > 1 else "no" if high < 1 else "unsure"


def _bottleneck(plan: Plan) -> Optional[Dict[str, Any]]:
    if plan.cost is None or not plan.cost.total_cycles:
        return None
    name = plan.bottleneck
    cycles = getattr(plan.cost, f"{name}_cycles") if f"{name}_cycles" in PARTS else 0.0
    share = cycles / plan.cost.total_cycles
    return {"part": name, "meaning": _MEANING.get(name, name), "cycles": cycles, "share": share}


def _sentences(plan: Plan, fields: Mapping[str, Any], dynamic: Optional[Mapping[str, Any]]) -> List[str]:
    lines = [_fit_line(plan, fields)]
    if fields["fits"] and plan.cost is not None:
        lines += [_dense_line(plan, fields), _time_line(fields), _bottleneck_line(fields["bottleneck"])]
    if dynamic is not None and dynamic["propagation"] is not None:
        lines.append(_propagation_line(dynamic["propagation"]))
    if fields["hint"] is not None:
        lines.append(f"Hint: {fields['hint']['sentence']}.")
    return [line for line in lines if line]


def _fit_line(plan: Plan, fields: Mapping[str, Any]) -> str:
    if not fields["fits"]:
        return f"Does not fit: {fields['reason']}."
    assert plan.memory is not None
    used, room = plan.memory.peak_bytes, plan.memory.capacity_bytes
    return f"Fits: the fullest tile uses {used:,} of {room:,} B ({used / room:.0%})."


def _dense_line(plan: Plan, fields: Mapping[str, Any]) -> str:
    speedup, known = fields["speedup_vs_dense"], fields["speedup_range"]
    if isinstance(plan, DensePlan):
        return "This is the dense product."
    if speedup is None:
        return "The dense product does not fit, so there is nothing to compare with."
    span = "" if known is None else f", in nine of ten cases {known[0]:.2f}x to {known[1]:.2f}x"
    if fields["faster_than_dense"] == "unsure":
        return f"As fast as dense within the uncertainty: predicted {speedup:.2f}x{span}."
    word = "Faster" if fields["faster_than_dense"] == "yes" else "Slower"
    return f"{word} than dense: predicted {speedup:.2f}x{span}."


def _time_line(fields: Mapping[str, Any]) -> str:
    microseconds, rate = fields["seconds"] * 1e6, fields["tflops"]
    start = f"Predicted time {microseconds:,.1f} us"
    if fields["seconds_range"] is None:
        return f"{start} ({rate:.2f} TFLOP/s useful); this target was never compared with measurements."
    low, high = (seconds * 1e6 for seconds in fields["seconds_range"])
    return f"{start}, {low:,.1f} to {high:,.1f} us in nine of ten cases; {rate:.2f} TFLOP/s useful."


def _bottleneck_line(bottleneck: Optional[Mapping[str, Any]]) -> str:
    if bottleneck is None:
        return ""
    return f"Bottleneck: {bottleneck['part']} ({bottleneck['meaning']}), {bottleneck['share']:.0%} of the cycles."


def _propagation_line(found: Mapping[str, Any]) -> str:
    model, drawn = found["model_probability"], found["simulated_probability"]
    return (
        f"Uniform patterns of this density need propagation with probability {model:.2%}; of "
        f"{found['simulated_patterns']:,} drawn, {drawn:.2%} did."
    )
