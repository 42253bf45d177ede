"""cpp/codelets/meta_info.hpp and bucket_info.hpp against layout.py and bucket_layout.py of the planner."""

import pytest

from popsparse_planner import bucket_layout, layout


@pytest.fixture(scope="module")
def meta_info(any_compiler, build, execute, source_folder):
    """({struct: (bytes, {member: byte offset})}, {constant: value}) as the compiler sees them."""
    structs, constants = {}, {}
    program = build(any_compiler, [source_folder / "print_meta_info.cpp"])
    for kind, name, number in (line.split() for line in execute(program).splitlines()):
        if kind == "struct":
            members = {}
            structs[name] = (int(number), members)
        elif kind == "member":
            members[name] = int(number)
        else:
            constants[name] = int(number)
    return structs, constants


@pytest.mark.parametrize(
    ("struct", "fields"),
    [
        ("ElementHeader", layout.ELEMENT_HEADER_FIELDS),
        ("BlockHeader", layout.BLOCK_HEADER_FIELDS),
        ("BlockRow", ("localRow", "numBlocks")),
        ("ReduceSegment", layout.REDUCE_SEGMENT_FIELDS),
        ("BucketHeader", bucket_layout.BUCKET_HEADER_FIELDS),
        ("WorkerShare", bucket_layout.WORKER_SHARE_FIELDS),
        ("BucketRow", bucket_layout.ROW_FIELDS),
        ("PacketHeader", bucket_layout.PACKET_FIELDS),
        ("PacketBlock", bucket_layout.PACKET_BLOCK_FIELDS),
    ],
)
def test_struct_equals_the_planners_fields(meta_info, struct, fields):
    num_bytes, members = meta_info[0][struct]
    assert members == {name: 2 * index for index, name in enumerate(fields)}
    assert num_bytes == 2 * len(fields)


def test_constants_equal_the_planners(meta_info):
    headers = {b: bucket_layout.BucketLayout(b, "float16", 1, 1, 1, 4, 1).header_entries for b in (1, 16)}
    assert meta_info[1] == {
        "kWorkers": layout.WORKERS,
        "kOffsetBytes": layout.ALIGN_BYTES,
        "kBlockListEntries": headers[16],
        "kElementListEntries": headers[1],
    }


def test_cursor_equals_the_planners_fields(meta_info):
    num_bytes, members = meta_info[0]["PacketCursor"]
    assert members == {name: 4 * index for index, name in enumerate(bucket_layout.CURSOR_FIELDS)}
    assert num_bytes == 4 * len(bucket_layout.CURSOR_FIELDS)


def test_list_lengths_follow_from_the_structs(meta_info):
    entries = {name: num_bytes // 2 for name, (num_bytes, _) in meta_info[0].items()}
    assert entries["ElementHeader"] * layout.WORKERS + 5 + 17 == layout.element_list_entries(5, 17)
    one_more = 1  # the number of rows
    block_list = entries["BlockHeader"] * layout.WORKERS + one_more + entries["BlockRow"] * 5 + 17
    assert block_list == layout.block_list_entries(5, 17)
