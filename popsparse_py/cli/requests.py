"""What each command is asked for, as its options gave it, and the texts that options are read from."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import List, NamedTuple, Optional


class UsageError(ValueError):
    """Options that cannot be read or contradict each other; its message is one line."""


@dataclass(frozen=True)
class PlanRequest:
    """Options of `popsparse plan`; density, sparsity: as typed."""

    m: Optional[int]
    k: Optional[int]
    n: int
    block_size: int
    density: Optional[str]
    sparsity: Optional[str]
    mask: Optional[Path]
    dtype: str
    partials_dtype: Optional[str]
    mode: str
    strategy: Optional[str]
    pattern_kind: str
    seed: int
    target: str
    as_json: bool
    quiet: bool


@dataclass(frozen=True)
class ReportRequest(PlanRequest):
    """Options of `popsparse report`: those of plan, whether to execute, and files to write; as_json: json is "-"."""

    run: bool
    html: Optional[Path]
    json: Optional[Path]
    trace: Optional[Path]


@dataclass(frozen=True)
class RunRequest:
    """Options of `popsparse run`; weights: FILE or FILE:TENSOR, None with demo."""

    weights: Optional[str]
    demo: bool
    n: int
    block_size: Optional[int]
    density: Optional[str]
    sparsity: Optional[str]
    dtype: Optional[str]
    partials_dtype: Optional[str]
    mode: str
    update: Optional[int]
    strategy: Optional[str]
    seed: int
    target: str
    as_json: bool
    quiet: bool


@dataclass(frozen=True)
class BenchRequest:
    """Options of `popsparse bench`; sizes, densities and names with commas between, as typed."""

    m: str
    k: str
    n: str
    block_size: str
    density: str
    product: str
    dtype: str
    against: str
    targets: str
    scaling: bool
    threads: int
    seconds: float
    as_json: bool
    quiet: bool


@dataclass(frozen=True)
class DoctorRequest:
    """Options of `popsparse doctor`."""

    strict: bool
    as_json: bool
    quiet: bool


@dataclass(frozen=True)
class ValidateRequest:
    """Options of `popsparse validate`; data: folder of measurements, None for the shipped ones; plot: SVG to write."""

    data: Optional[Path]
    fit: bool
    plot: Optional[Path]
    target: str
    as_json: bool
    quiet: bool


@dataclass(frozen=True)
class SweepRequest:
    """Options of `popsparse sweep`; sweep: a TOML file, or "published" for the shipped one."""

    sweep: Path
    jobs: int
    out: Path
    resume: bool
    html: Optional[Path]
    as_json: bool
    quiet: bool


@dataclass(frozen=True)
class PruneRequest:
    """Options of `popsparse prune`; include, exclude: globs of tensor names."""

    weights: Path
    density: Optional[str]
    sparsity: Optional[str]
    block_size: int
    criterion: str
    include: List[str]
    exclude: List[str]
    only_if_faster: bool
    n: int
    target: str
    out: Path
    as_json: bool
    quiet: bool


class Source(NamedTuple):
    """Where a weight is read from; tensor None: the only one of its file."""

    path: Path
    tensor: Optional[str]


def read_density(density: Optional[str], sparsity: Optional[str]) -> Optional[Fraction]:
    """The density in (0, 1] that `-d 1/16`, `-d 0.0625` or `--sparsity 0.9` (1 - density) mean; None without either."""
    if density is not None and sparsity is not None:
        raise UsageError("--density and --sparsity say the same thing: give one of them")
    if density is not None:
        value = _fraction("--density", density)
        if not 0 < value <= 1:
            raise UsageError(f"--density must lie in (0, 1], got {density}")
        return value
    if sparsity is not None:
        value = _fraction("--sparsity", sparsity)
        if not 0 <= value < 1:
            raise UsageError(f"--sparsity must lie in [0, 1), got {sparsity}")
        return 1 - value
    return None


def _fraction(option: str, text: str) -> Fraction:
    try:
        return Fraction(text.replace(" ", ""))
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"{option} expects a number such as 1/16 or 0.0625, got {text!r}") from None


def read_source(text: str) -> Source:
    """File and tensor of FILE or FILE:TENSOR; a file whose own name holds a colon is found as it stands."""
    path, colon, tensor = text.rpartition(":")
    if not colon or Path(text).exists():
        return Source(Path(text), None)
    if not path or not tensor:
        raise UsageError(f"expected FILE or FILE:TENSOR, got {text!r}")
    return Source(Path(path), tensor)
