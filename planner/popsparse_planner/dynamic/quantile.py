"""The default dynamic planner: cells, buckets sized by the tail of the cell counts, propagation priced.

Round one ranks (cells along m and k, parts of n, serial passes) by closed forms; round two evaluates the best of them
exactly, every pass that is planned for, and takes the cheapest that fits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, Iterable, Iterator, List, Optional, Tuple

import numpy as np

from ..bucket_cycles import N_GROUPS
from ..bucket_layout import BucketLayout, entries_of_a_block, packet_blocks_for
from ..codelet_cycles import block_vertex_cycles, element_row_slots, reduce_grain, reduce_grain_slots
from ..cost import paired_share
from ..errors import PlanError
from ..layout import WORKERS, x_layout, y_layout
from ..problem import PlanOptions, Problem, column_grain, item_bytes
from ..target import Target
from .capacity import NO_PROPAGATION, approximate_quantile, cell_quantile, fullest_cell, spill_probability
from .draft import Draft
from .evaluate import PassCost, dot_cycles, evaluate_pass
from .frame import KEPT, Frame, part_columns
from .popsparse import search_published_dynamic
from .published_buckets import META_BYTES

_PUBLISHED_OVERSIZE = 1.3  # metaInfoBucketOversizeProportion of the published planner (popsparse-dynamic 1)
_BYTES_OVER_PUBLISHED = 1.25
_AS_PUBLISHED = PlanOptions(grad_input=True)  # its matrix products always plan that pass
_BUCKET_GRADES = (1.0, 1.25, 1.6)  # of the bytes that are wanted: a candidate over a grade yields to those below it
_TOO_LARGE = len(_BUCKET_GRADES) + 1  # grade of what does not seem to fit a tile
_FINALISTS = 8
_EVALUATION_BUDGET = 12_000_000  # rows and columns of cells that all exact evaluations of one round may touch
_MOST_PASSES = 4096


@dataclass(frozen=True)
class Found:
    """A draft with the passes that were evaluated; overflow: a 16-bit field that is too small, or empty."""

    draft: Draft
    passes: Dict[str, PassCost]
    estimated_cycles: float
    overflow: str

    @property
    def fits(self) -> bool:
        """Whether every pass fits every tile and every field its number."""
        return not self.overflow and all(one.memory.fits for one in self.passes.values())

    @property
    def total_cycles(self) -> float:
        """Of one call of each pass."""
        return sum(one.cost.total_cycles for one in self.passes.values())

    @property
    def peak_bytes(self) -> int:
        """Of the pass that needs most."""
        return max(one.memory.peak_bytes for one in self.passes.values())

    @property
    def rank(self) -> Tuple[bool, float]:
        """Order of preference: what fits first, then fewer cycles; among what does not fit, fewer bytes."""
        return (not self.fits, self.total_cycles if self.fits else float(self.peak_bytes))


@dataclass(frozen=True)
class _Grid:
    """Choices of one number of parts and passes, one per entry: float64 columns of what they need and cost."""

    qm: np.ndarray
    qk: np.ndarray
    cycles: np.ndarray
    tile_bytes: np.ndarray
    bucket_bytes: np.ndarray


class QuantileSearch:
    """One search; `run` returns everything it evaluated, the winner first."""

    def __init__(
        self, problem: Problem, target: Target, options: PlanOptions, capacity_blocks: int, kinds: Tuple[str, ...]
    ) -> None:
        self.problem, self.target, self.options = problem, target, options
        self.drawn, self.kinds = capacity_blocks, kinds
        mb, kb = problem.block_grid
        self.total = mb * kb
        self.density = capacity_blocks / self.total
        self.most_bucket_bytes = self._estimated_bound()
        self.row_counts, self.col_counts = _group_counts(mb, target.tiles), _group_counts(kb, target.tiles)

    def run(self) -> List[Found]:
        """All that was evaluated, best first; more serial passes are tried until something fits."""
        found: List[Found] = []
        passes = 1
        while passes <= self._most_passes():
            ranked = self._ranked(passes)
            last = 2 * passes > self._most_passes()
            for seems_to_fit, frame, cycles in ranked[: self._num_finalists(ranked)]:
                if seems_to_fit or last:
                    found.append(self._evaluate(frame, cycles, KEPT if passes == 1 else "home"))
            found.sort(key=lambda one: one.rank)
            if found and found[0].fits:
                break
            passes *= 2
        if found:
            best = found[0]
            places = ("home", "sources") if best.draft.reduce_at == KEPT else ("sources",)
            found += [self._evaluate(best.draft.frame, best.estimated_cycles, place) for place in places]
        return sorted(found, key=lambda one: one.rank)

    def _num_finalists(self, ranked: List[Tuple[bool, Frame, float]]) -> int:
        """How many of the best to evaluate: fewer where the cells have many rows and columns."""
        if not ranked:
            return 0
        frame = ranked[0][1]
        size = (frame.grid[0] * frame.qk + frame.grid[1] * frame.qm) * frame.qn
        return max(2, min(_FINALISTS, _EVALUATION_BUDGET // (size * len(self.kinds))))

    def _most_passes(self) -> int:
        most = self.options.max_serial_passes
        grains = self.problem.n_padded // column_grain(self.problem.dtype)
        return min(_MOST_PASSES, grains if most is None else min(most, grains))

    # --- round one ---------------------------------------------------------------------------------------------------

    def _ranked(self, passes: int) -> List[Tuple[bool, Frame, float]]:
        """(seems to fit, frame, cycles) with `passes` passes: what fits with small buckets first, then by cycles."""
        scored = self._scored(self._parts(passes), passes)
        if passes == 1 and self._over(scored) and self._learn_bound():
            scored = self._scored(self._parts(passes), passes)
        if passes == 1 and self._over(scored):
            scored += self._scored(self._storing_parts(), passes)
        best = sorted(scored)
        if best and best[0][0] == 0:
            best = [one for one in best if one[0] == 0]
        return [
            (grade < _TOO_LARGE, self._frame(qm, qk, parts, passes), cycles)
            for grade, cycles, parts, qm, qk in best[:_FINALISTS]
        ]

    @staticmethod
    def _over(scored: List[Tuple[int, float, int, int, int]]) -> bool:
        """Whether nothing that fits keeps the buckets as small as they are wanted."""
        return 0 < min(scored, default=(0,))[0] < _TOO_LARGE

    def _scored(self, all_parts: Iterable[int], passes: int) -> List[Tuple[int, float, int, int, int]]:
        """(grade, cycles, parts, qm, qk) of the best choices with each number of parts."""
        scored: List[Tuple[int, float, int, int, int]] = []
        for parts in all_parts:
            grid = self._score(parts, passes)
            if grid is None:
                continue
            size = grid.bucket_bytes / self.most_bucket_bytes
            grade = (grid.tile_bytes > self.target.tile_bytes) * _TOO_LARGE + np.searchsorted(_BUCKET_GRADES, size)
            order = np.lexsort((grid.cycles, grade))[:_FINALISTS]
            scored += [
                (int(grade[at]), float(grid.cycles[at]), parts, int(grid.qm[at]), int(grid.qk[at])) for at in order
            ]
        return scored

    def _storing_parts(self) -> Iterable[int]:
        """More parts than n has grains: the tiles beyond them keep their share of a bucket, and multiply zeros."""
        grains = -(-self.problem.n_padded // column_grain(self.problem.dtype))
        return range(grains + 1, min(2 * grains, self.target.tiles) + 1)

    def _parts(self, passes: int) -> Iterator[int]:
        """Numbers of parts of n that differ in the columns of a part."""
        grains = -(-self.problem.n_padded // column_grain(self.problem.dtype) // passes)
        widths = np.unique(
            np.concatenate([np.arange(1, 49), np.round(48 * 1.06 ** np.arange(1, 120))]).astype(np.int64)
        )
        for parts in np.unique(-(-grains // widths[widths <= grains])):
            if parts <= self.target.tiles:
                yield int(parts)

    def _score(self, parts: int, passes: int) -> Optional[_Grid]:
        """Closed forms for every pair of groups that leaves a tile to each part of each cell."""
        most = self.target.tiles // parts
        qm = self.row_counts[self.row_counts <= most]
        pairs = [(m, k) for m in qm.tolist() for k in self._col_choices(most // m)]
        if not pairs:
            return None
        qm, qk = np.array(pairs, dtype=np.int64).T
        return self._estimate(qm, qk, parts, passes)

    def _col_choices(self, most: int) -> List[int]:
        """Group counts of columns up to `most`, and the largest useful one."""
        kb = self.problem.block_grid[1]
        counts = self.col_counts[self.col_counts <= most].tolist()
        last = min(most, kb)
        last = -(-kb // -(-kb // last))
        return counts if last in counts or last < 1 else [*counts, last]

    def _estimate(self, qm: np.ndarray, qk: np.ndarray, parts: int, passes: int) -> _Grid:
        problem, target, b = self.problem, self.target, self.problem.block_size
        mb, kb = problem.block_grid
        item, partial_item = item_bytes(problem.dtype), item_bytes(problem.partials_dtype)
        columns = part_columns(problem.n, problem.dtype, parts * passes)
        rows, cols, cells = -(-mb // qm), -(-kb // qk), qm * qk
        share = rows * cols / self.total
        mean = share * self.drawn
        capacity = self._bounded(approximate_quantile(mean, share, self.density, (1 - NO_PROPAGATION) / cells), share)
        peak = self._bounded(approximate_quantile(mean, share, self.density, np.minimum(0.6931 / cells, 0.45)), share)
        values, entries = capacity * b * b * item, 2.0 * (36 + 2 * rows + entries_of_a_block(b) * capacity)
        rate, fragment = target.exchange_bytes_per_cycle, target.model["exchange_fragment_cycles"]
        x_home, y_home = x_layout(problem, target.tiles).per_tile, y_layout(problem, target.tiles).per_tile
        pair = np.where(qm % 2 == 0, paired_share(target), 1.0)
        gather = cols * (columns * b * item / rate * pair + fragment * (1 + columns * b / x_home))
        bucket = np.where(parts > 1, (values + entries) / rate * (1 - 0.5 / parts) + 2 * parts * fragment, 0.0)
        out_item = np.where(qk > 1, partial_item, item)
        home = y_home / passes * qk * out_item / rate
        home = home + fragment * qk * (1 + y_home / passes / (columns * b))
        sent = rows * columns * b * out_item / rate
        if passes == 1:  # Y stays where it is summed: what is not shared does not move
            home, sent = (np.where(qk > 1, moved, 0.0) for moved in (home, sent))
        grains = np.ceil(y_home / passes / reduce_grain(problem.partials_dtype) / WORKERS)
        slots = reduce_grain_slots(problem.partials_dtype, problem.dtype) + qk - 1
        reduce = np.where(qk > 1, WORKERS * (16 + grains * slots), 0.0)
        cast = np.where((qk == 1) & (item != partial_item), WORKERS * 26 + rows * columns * b / 2, 0.0)
        fixed = 3 * (target.model["exchange_step_cycles"] + target.model["sync_cycles"])
        fixed += 3 * (target.model["compute_step_cycles"] + target.model["sync_cycles"])
        dot = self._dot(columns, rows.astype(np.int64), np.ceil(peak).astype(np.int64))
        cycles = bucket + passes * (gather + dot + np.maximum(home, sent) + reduce + cast + fixed)
        gathered = (values + entries) * (1 if parts > 1 else 0)
        kept = gathered if passes > 1 else 0.0
        sums = rows * columns * b * partial_item
        moment = np.maximum(
            gathered + cols * columns * b * item + sums, kept + sums + y_home / passes * qk * partial_item
        )
        code = passes * (cols + 3 * qk + 2 * parts) * target.model["exchange_code_bytes_per_fragment"]
        size = (x_home + y_home) * item + moment + (values + entries) * (1 / parts + (1 + 2 / parts) / 16)
        size = size + code + target.model["code_bytes"] + 2000.0
        return _Grid(qm, qk, cycles, size, (values + entries) / parts)

    def _bounded(self, blocks: np.ndarray, share: np.ndarray) -> np.ndarray:
        """A cell holds no more blocks than it covers, nor more than there are; at least one."""
        limited: np.ndarray = np.maximum(np.minimum(np.minimum(blocks, share * self.total), self.drawn), 1.0)
        return limited

    def _dot(self, columns: int, rows: np.ndarray, blocks: np.ndarray) -> np.ndarray:
        problem = self.problem
        if problem.block_size > 1:
            types = (problem.dtype, problem.partials_dtype, problem.block_size)
            return block_vertex_cycles(*types, -(-columns // WORKERS), rows, blocks).astype(np.float64)
        best = np.full(len(rows), np.inf)
        grain = column_grain(problem.dtype)
        for groups in N_GROUPS:
            if columns // grain < groups:
                break
            width = -(-columns // grain // groups) * grain
            slots = element_row_slots(problem.dtype, width, problem.partials_dtype)
            workers = WORKERS // groups
            mine = np.ceil(rows / workers)
            work = np.where(rows < 4 * workers, mine * blocks / rows, blocks / workers + 0.5 * blocks / rows)
            busy = 33 + mine * (float(slots.per_row) + 1) + work * float(slots.per_nonzero)
            best = np.minimum(best, WORKERS * busy)
        return best

    def _estimated_bound(self) -> float:
        """1.25 times the bucket that the published scheme gives an even share of the blocks, its lists counted low.

        Fixed entries for two subgroups, and one entry a block: popsparse-dynamic 2.3; rows are left out.
        """
        each = -(-self.drawn // self.target.tiles)
        blocks = max(1, round(_PUBLISHED_OVERSIZE * each))
        size = self.problem.block_size**2 * item_bytes(self.problem.dtype) + 2
        fixed = 2 * 2 * (39 if self.problem.block_size == 1 else 7)
        return _BYTES_OVER_PUBLISHED * (blocks * size + fixed)

    def _learn_bound(self) -> bool:
        """Takes the bucket that the published planner really makes, where it makes one; whether the bound grew."""
        problem, before = self.problem, self.most_bucket_bytes
        sizes = (problem.m, problem.k, problem.n, problem.block_size, self.drawn)
        try:
            choice = search_published_dynamic(*sizes, target=self.target, dtype=problem.dtype, options=_AS_PUBLISHED)
        except PlanError:
            return False
        if choice.ok:
            size = choice.nz_elems_per_bucket * item_bytes(problem.dtype) + choice.meta_fwd * META_BYTES
            self.most_bucket_bytes = max(before, _BYTES_OVER_PUBLISHED * size)
        return self.most_bucket_bytes > before

    # --- round two ---------------------------------------------------------------------------------------------------

    def _frame(self, qm: int, qk: int, parts: int, passes: int) -> Frame:
        columns = part_columns(self.problem.n, self.problem.dtype, parts * passes)
        return Frame(self.problem.block_grid, qm, qk, parts, passes, columns, self.options.seed)

    def _evaluate(self, frame: Frame, estimate: float, reduce_at: str) -> Found:
        draft = self.draft(frame, reduce_at)
        passes = {kind: evaluate_pass(self.problem, self.target, draft, kind) for kind in self.kinds}
        return Found(draft, passes, estimate, draft.layout.overflow(frame.cell_cols))

    def draft(self, frame: Frame, reduce_at: str) -> Draft:
        """Buckets and worker split of a frame."""
        problem, covered = self.problem, frame.cell_rows * frame.cell_cols
        tail = (self.total, self.drawn, covered)
        least = -(-self.drawn // frame.num_cells)
        capacity = max(cell_quantile(*tail, frame.num_cells, NO_PROPAGATION), least, 1)
        layout = BucketLayout(
            problem.block_size,
            problem.dtype,
            capacity,
            frame.cell_rows,
            frame.qn,
            frame.columns,
            packet_blocks_for(capacity),
        )
        peak = fullest_cell(*tail, frame.num_cells)
        spill = spill_probability(*tail, frame.num_cells, capacity)
        draft = Draft(frame, layout, peak, 1, reduce_at, spill)
        if problem.block_size > 1:
            return draft
        most = frame.columns // column_grain(problem.dtype)
        options = [replace(draft, n_groups=groups) for groups in N_GROUPS if groups <= most]
        return min(options, key=lambda one: dot_cycles(problem, one, "forward"))


def _group_counts(items: int, tiles: int) -> np.ndarray:
    """Numbers of groups of `items` items, int64 rising, in steps of about an eighth, and the even ones above them."""
    sizes = np.unique(np.round(1.12 ** np.arange(0, 160)).astype(np.int64))
    counts = -(-items // sizes[sizes <= items])
    counts = np.unique(np.concatenate([counts, counts + counts % 2]))
    return counts[counts <= min(tiles, items)]
