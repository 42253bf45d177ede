"""How the blocks of a cell lie in its bucket: the Python mirror of cpp/codelets/bucket_info.hpp.

A bucket is a list of uint16 and an array of values. The list: BUCKET_HEADER_FIELDS; for b = 1 one WORKER_SHARE_FIELDS
for each worker; for every row of the cell ROW_FIELDS and a column entry per block; then packets, each PACKET_FIELDS and
(row, column entry) per block. Values follow the list: rows first, then packets. A column entry is the block column
within the cell, for b = 1 times its slice's bytes / 8. A packet holds blocks of another cell that found no room there.
"""

from __future__ import annotations

from dataclasses import dataclass

from .layout import U16_MAX, WORKERS
from .problem import column_grain, item_bytes

BUCKET_HEADER_FIELDS = (
    "numRows",
    "numBlocksLow",
    "numBlocksHigh",
    "numPackets",
    "firstPacketLow",
    "firstPacketHigh",
)
WORKER_SHARE_FIELDS = ("firstEntryLow", "firstEntryHigh", "firstValueLow", "firstValueHigh", "numRows")
ROW_FIELDS = ("localRow", "numBlocks")
PACKET_FIELDS = ("step", "numBlocks")
PACKET_BLOCK_FIELDS = ("row", "column")
CURSOR_FIELDS = ("step", "packet", "entry", "value")  # uint32: where a tile stands among its bucket's packets
LIST_GRAIN = 4  # uint16 in 8 bytes
PACKET_VERTEX_BYTES = 12 * 4  # of a vertex that handles packets: at most five edges and five scalars, and its listing
_BLOCKS_OF_A_PACKET = {1: 16, 4: 4, 8: 1, 16: 1}  # the least mean for which every bucket can be filled with packets


def _whole(value: int, grain: int) -> int:
    return -(-value // grain) * grain


@dataclass(frozen=True)
class BucketLayout:
    """Sizes of the buckets of a plan, all alike.

    capacity: blocks that a bucket holds; rows: block rows of the largest cell; parts: tiles that share a bucket
    between calls, a piece each; columns: of X in the slice of a tile; packet_blocks: most blocks of one packet.
    """

    block_size: int
    dtype: str
    capacity: int
    rows: int
    parts: int
    columns: int
    packet_blocks: int

    @property
    def header_entries(self) -> int:
        """uint16 before the rows."""
        shares = WORKERS * len(WORKER_SHARE_FIELDS) if self.block_size == 1 else 0
        return len(BUCKET_HEADER_FIELDS) + shares

    @property
    def list_entries(self) -> int:
        """uint16 of a list: rows and a full bucket, with room to spare for packets, which need two entries a block."""
        mean = min(_BLOCKS_OF_A_PACKET[self.block_size], self.packet_blocks)
        spare = self.capacity + len(PACKET_FIELDS) * -(-self.capacity // mean)
        return self.header_entries + len(ROW_FIELDS) * self.rows + self.capacity + spare

    @property
    def list_share(self) -> int:
        """uint16 of a list that each of its tiles keeps."""
        return _whole(-(-self.list_entries // self.parts), LIST_GRAIN)

    @property
    def list_length(self) -> int:
        """uint16 of a list as it is gathered."""
        return self.list_share * self.parts

    @property
    def value_share(self) -> int:
        """Elements of a bucket's values that each of its tiles keeps."""
        return _whole(-(-self.capacity * self.block_size**2 // self.parts), column_grain(self.dtype))

    @property
    def value_length(self) -> int:
        """Elements of a bucket's values as they are gathered."""
        return self.value_share * self.parts

    @property
    def packet_list_share(self) -> int:
        """uint16 of a travelling packet's list (a count, then row and column per block) on each tile."""
        return _whole(-(-(1 + len(PACKET_BLOCK_FIELDS) * self.packet_blocks) // self.parts), LIST_GRAIN)

    @property
    def packet_value_share(self) -> int:
        """Elements of a travelling packet's values on each tile."""
        return _whole(-(-self.packet_blocks * self.block_size**2 // self.parts), column_grain(self.dtype))

    @property
    def column_step(self) -> int:
        """What a column entry grows by from one block column to the next."""
        return self.columns // column_grain(self.dtype) if self.block_size == 1 else 1

    @property
    def bucket_bytes(self) -> int:
        """Bytes of a bucket that each tile keeps between calls."""
        return 2 * self.list_share + item_bytes(self.dtype) * self.value_share

    @property
    def gathered_bytes(self) -> int:
        """Bytes of a whole bucket."""
        return self.bucket_bytes * self.parts

    @property
    def packet_bytes(self) -> int:
        """Bytes of a travelling packet on each tile that sends it."""
        return 2 * self.packet_list_share + item_bytes(self.dtype) * self.packet_value_share

    def overflow(self, cell_cols: int) -> str:
        """Which 16-bit field is too small for cells of `cell_cols` block columns, in words; empty if all suffice."""
        sizes = {
            "block rows of a cell": self.rows,
            "columns of a tile": self.columns,
            "column entry of a bucket's list": (cell_cols - 1) * self.column_step,
            "blocks of a packet": self.packet_blocks,
        }
        for name, value in sizes.items():
            if value > U16_MAX:
                return f"{name}: {value:,} does not fit a 16-bit field, which holds {U16_MAX:,}"
        return ""


def entries_of_a_block(block_size: int) -> float:
    """uint16 of a large bucket's list for each block that it holds, room for packets included."""
    return 1 + 1 + len(PACKET_FIELDS) / _BLOCKS_OF_A_PACKET[block_size]


def packet_blocks_for(capacity: int) -> int:
    """Blocks of a packet for buckets of `capacity` blocks: a sixteenth, so that a spill is mostly one packet."""
    return max(1, -(-capacity // 16))


def most_operations(num_cells: int) -> int:
    """Entries of the list that the loop of propagation works off: more than patterns of any kind were seen to need."""
    return min(8192, 256 + 128 * num_cells)
