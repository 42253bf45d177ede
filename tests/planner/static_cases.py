"""Small random patterns, cuts and partitions, and what each tile of them touches, element by element.

`Touched` walks over single elements of X and Y with plain loops: slow, and independent of the planner's formulas.
"""

from collections import Counter

import numpy as np
from hypothesis import strategies as st

from popsparse_planner.layout import part_x_layout, x_layout, y_layout
from popsparse_planner.partition import HOMES, REDUCE_PLACES, Partition, even_bounds
from popsparse_planner.pattern import BlockPattern
from popsparse_planner.problem import Problem, column_grain
from popsparse_planner.static.choices import pass_bounds
from popsparse_planner.static.cuts import CUT_KINDS, banded_cut
from popsparse_planner.static.work import cut_work
from popsparse_planner.target import load_target

TILES = 16
DTYPES = (("float16", "float16"), ("float16", "float32"), ("float32", "float32"))


def small_target(**changes):
    """Bow with few tiles."""
    return load_target("bow").replace(**{"tiles": TILES, **changes})


@st.composite
def patterns(draw, block_sizes=(1, 4, 8, 16), most=12):
    """Patterns of 1 to `most` block rows and columns, ragged or not, from empty to full, even or with a heavy row."""
    b = draw(st.sampled_from(block_sizes))
    mb, kb = draw(st.integers(1, most)), draw(st.integers(1, most))
    shape = (mb * b - draw(st.integers(0, b - 1)), kb * b - draw(st.integers(0, b - 1)))
    generator = np.random.default_rng(draw(st.integers(0, 999)))
    mask = generator.random((mb, kb)) < draw(st.sampled_from([0.0, 0.1, 0.3, 0.7, 1.0]))
    if draw(st.booleans()):
        mask[generator.integers(mb)] = True
    return BlockPattern.from_mask(mask, block_size=b, shape=shape)


@st.composite
def problems(draw, pattern, most_columns=40):
    """A product with `pattern`, of any data types."""
    dtype, partials = draw(st.sampled_from(DTYPES))
    return Problem(*pattern.shape, draw(st.integers(1, most_columns)), pattern.block_size, dtype, partials)


@st.composite
def cuts(draw, pattern, tiles):
    """Cuts of `pattern` into at most `tiles` runs."""
    bands = draw(st.integers(1, min(tiles, pattern.block_grid[1])))
    weights = draw(st.floats(1, 50)), draw(st.floats(0, 50))
    return banded_cut(pattern, tiles, bands, draw(st.sampled_from(CUT_KINDS)), *weights)


@st.composite
def partitions(draw, pattern, problem, tiles=TILES, homes=HOMES):
    """Partitions over `tiles`: parts and passes of n, and every place of values, of sums and of X and Y."""
    grains = problem.n_padded // column_grain(problem.dtype)
    passes = draw(st.integers(1, min(3, grains)))
    parts = draw(st.integers(1, min(4, -(-grains // passes))))
    cut = draw(cuts(pattern, tiles // parts))
    places = [
        (reduce_at, home) for reduce_at in REDUCE_PLACES for home in homes if (reduce_at, home) != ("home", "parts")
    ]
    reduce_at, home = draw(st.sampled_from(places))
    return Partition(
        cuts=(cut,),
        part_cut=np.zeros(parts),
        part_first_tile=np.arange(parts) * (tiles // parts),
        n_bounds=pass_bounds(problem, passes, parts),
        values=draw(st.sampled_from(["resident", "broadcast"])),
        reduce_at=reduce_at,
        homes=home,
        paired=cut.num_runs % 2 == 0 and tiles // parts % 2 == 0 and draw(st.booleans()),
    )


@st.composite
def static_cases(draw, homes=HOMES):
    """(pattern, problem, partition); homes: of X and Y."""
    pattern = draw(patterns())
    problem = draw(problems(pattern))
    return pattern, problem, draw(partitions(pattern, problem, homes=homes))


def two_cuts(pattern, problem, tiles=TILES):
    """A partition whose two parts of n have a different number of tiles, as the published partitioner makes them."""
    first, second = tiles // 4, tiles - tiles // 4
    cuts_of = tuple(banded_cut(pattern, count, 1, "even", 1.0, 1.0) for count in (first, second))
    bounds = even_bounds(problem.n_padded, 2, column_grain(problem.dtype))[None, :]
    return Partition(cuts_of, [0, 1], [0, first], bounds)


class Touched:
    """What one pass moves, element by element. `bounds`: columns of the pass; x_home, y_home: linear layouts."""

    def __init__(self, pattern, problem, partition, bounds, tiles=TILES):
        self.pattern, self.problem, self.partition, self.bounds = pattern, problem, partition, bounds
        self.x_home, self.y_home = x_layout(problem, tiles), y_layout(problem, tiles)
        self.works = tuple(cut_work(pattern, cut, paired=partition.paired) for cut in partition.cuts)
        self.part_tiles = partition.part_tiles(tiles)

    def runs(self):
        """(tile, first column, end column, block rows, block columns, blocks) of every run that has columns."""
        for part, cut_index in enumerate(self.partition.part_cut):
            cut = self.partition.cuts[cut_index]
            start, stop = int(self.bounds[part]), int(self.bounds[part + 1])
            for run in range(cut.num_runs) if stop > start else ():
                blocks = cut.block_order[cut.run_offsets[run] : cut.run_offsets[run + 1]]
                first, last = (run - run % 2, run + 2 - run % 2) if self.partition.paired else (run, run + 1)
                taken = cut.block_order[cut.run_offsets[first] : cut.run_offsets[min(last, cut.num_runs)]]
                rows, cols = set(self.pattern.rows[blocks].tolist()), set(self.pattern.cols[taken].tolist())
                yield int(self.partition.part_first_tile[part]) + run, start, stop, sorted(rows), sorted(cols), blocks

    def addresses(self, index, start, stop):
        """Elements of block row `index` of X or Y in columns [start, stop)."""
        b = self.problem.block_size
        return range((index * self.problem.n_padded + start) * b, (index * self.problem.n_padded + stop) * b)

    def x_tiles(self, col, start, stop):
        """The tile of each element of a slice of X."""
        if self.partition.homes == "linear":
            return [address // self.x_home.per_tile for address in self.addresses(col, start, stop)]
        part = [(int(a), int(b)) for a, b in zip(self.bounds[:-1], self.bounds[1:])].index((start, stop))
        length = (stop - start) * self.problem.block_size
        home = part_x_layout(self.problem, stop - start, int(self.part_tiles[part]))
        first = int(self.partition.part_first_tile[part])
        return [first + address // home.per_tile for address in range(col * length, (col + 1) * length)]

    def gather(self):
        """(received, local, sent, pieces) of X, elements by tile."""
        received, local, pieces, leaving = Counter(), Counter(), Counter(), {}
        for tile, start, stop, _, cols, _ in self.runs():
            for col in cols:
                homes = self.x_tiles(col, start, stop)
                pieces[tile] += len(set(homes))
                local[tile] += homes.count(tile)
                received[tile] += len(homes) - homes.count(tile)
                leaving.update({a: h for a, h in zip(self.addresses(col, start, stop), homes) if h != tile})
        sent = Counter(leaving.values())
        return received, local, sent, pieces

    def partials(self):
        """{element of Y: tiles with partials of it, in order} for every element of this pass."""
        sources = {}
        for row in range(self.problem.block_grid[0]):
            for part in range(self.partition.num_parts):
                for address in self.addresses(row, int(self.bounds[part]), int(self.bounds[part + 1])):
                    sources[address] = []
        for tile, start, stop, rows, _, _ in self.runs():
            for row in rows:
                for address in self.addresses(row, start, stop):
                    sources[address].append(tile)
        return sources


def per_tile(counter, tiles=TILES):
    """A Counter by tile as a list."""
    return [counter[tile] for tile in range(tiles)]
