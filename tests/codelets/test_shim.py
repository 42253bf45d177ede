"""The host shim serves codelets written by others: they compile and run; a missing name is noticed."""

import shutil

import pytest

HEADERS = (
    "Alignment.hpp",
    "AvailableVTypes.h",
    "FieldTypes.hpp",
    "HalfFloat.hpp",
    "HalfMath.hpp",
    "Loops.hpp",
    "StackSizeDefs.hpp",
    "TileConstants.hpp",
    "VectorTypes.hpp",
    "Vertex.hpp",
)
THIRD_PARTY = ("half_types", "layouts", "lists", "scalar_edges", "supervisor")
# As poplibs compiles codelets; private fields are registered too.
FLAGS = ("-D__POPC__=1", "-fno-access-control", "-Wno-conversion", "-Wno-float-conversion")


def compile_only(compiler, source, *flags, standard=17, shim=None):
    """The finished check of one file without code generation."""
    base = compiler.flags(standard) if shim is None else compiler.flags(standard, shim)
    return compiler.run(*base, *FLAGS, *flags, "-fsyntax-only", source)


@pytest.mark.parametrize("name", THIRD_PARTY)
@pytest.mark.parametrize("standard", [17, 20])
def test_codelet_of_others_compiles(compiler, source_folder, name, standard):
    done = compile_only(compiler, source_folder / "third_party" / f"{name}.cpp", standard=standard)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", THIRD_PARTY)
def test_codelet_of_others_runs(compiler, build, execute, source_folder, cpp_folder, name):
    sources = [source_folder / f"run_{name}.cpp", cpp_folder / "model" / "registry_bind.cpp"]
    execute(build(compiler, sources, "-O1", *FLAGS))


def test_codelet_of_others_runs_under_sanitizers(any_compiler, build, execute, source_folder, cpp_folder):
    flags = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", *FLAGS)
    sources = [source_folder / "run_scalar_edges.cpp", cpp_folder / "model" / "registry_bind.cpp"]
    execute(build(any_compiler, sources, *flags))


def test_half_is_binary16_and_rounds_to_nearest_even(compiler, build, execute, source_folder):
    execute(build(compiler, [source_folder / "half_exhaustive.cpp"], "-O2"))


@pytest.mark.parametrize("header", HEADERS)
def test_header_stands_alone_in_both_spellings(any_compiler, tmp_path, header):
    source = tmp_path / "alone.cpp"
    source.write_text(f'#include <poplar/{header}>\n#include "poplar/{header}"\nint main() {{ return 0; }}\n')
    done = any_compiler.run(*any_compiler.flags(17), "-fsyntax-only", source)
    assert done.returncode == 0, done.stderr


SPAN = "class Elements<E, VectorLayout::SPAN> : public Pointer<E> {\npublic:\n"
SHORT_SPAN = "class Elements<E, VectorLayout::SHORT_SPAN> : public Pointer<E> {\npublic:\n"
SIZE = "  unsigned size() const { return static_cast<unsigned>(length); }\n"
REMOVED = [  # header, text taken out, text left in its place, codelet that must no longer compile
    ("FieldTypes.hpp", SHORT_SPAN + SIZE, SHORT_SPAN, "layouts"),
    ("FieldTypes.hpp", SPAN + SIZE, SPAN, "lists"),
    ("FieldTypes.hpp", "  E *end() const { return this->first + length; }\n", "", "layouts"),
    ("FieldTypes.hpp", "  E *begin() const { return first; }\n", "", "layouts"),
    ("FieldTypes.hpp", "  E *data() const { return first; }\n", "", "layouts"),
    ("FieldTypes.hpp", "  E &operator[](std::size_t index) const { return first[index]; }\n", "", "lists"),
    ("FieldTypes.hpp", "  E &operator*() const { return *first; }\n", "", "layouts"),
    ("FieldTypes.hpp", "  operator const T &() const { return *source; }\n", "", "scalar_edges"),
    ("FieldTypes.hpp", "  operator T &() const { return *target; }\n", "", "scalar_edges"),
    ("FieldTypes.hpp", "  T &operator*() const { return *target; }\n", "", "scalar_edges"),
    ("FieldTypes.hpp", "class Input<Vector<T, L, A, I>> : public", "class Unused1 : public", "layouts"),
    ("FieldTypes.hpp", "class InOut<VectorList<T, L, A, I>> : public", "class Unused2 : public", "lists"),
    ("FieldTypes.hpp", "  COMPACT_PTR,\n", "", "layouts"),
    ("FieldTypes.hpp", "  DELTANELEMENTS,\n", "", "lists"),
    ("Vertex.hpp", "  static constexpr unsigned numWorkers() { return CTXT_WORKERS; }\n", "", "layouts"),
    ("Vertex.hpp", "using SupervisorVertexIf =", "using SupervisorVertexUnless =", "supervisor"),
    ("Loops.hpp", "using rptsize_t = unsigned;\n", "", "supervisor"),
    ("StackSizeDefs.hpp", "#define DEF_STACK_USAGE(...)\n", "", "supervisor"),
    ("AvailableVTypes.h", "#define VECTOR_AVAIL_SCALED_PTR64 1\n", "", "layouts"),
    ("VectorTypes.hpp", "using half4 = half __attribute__((vector_size(8)));\n", "", "half_types"),
    ("HalfMath.hpp", "POPSPARSE_HALF_UNARY(expm1)\n", "", "half_types"),
    ("HalfMath.hpp", "POPSPARSE_HALF_TEST(isinf)\n", "", "half_types"),
]


@pytest.fixture
def shim_copy(tmp_path, cpp_folder):
    """A copy of the shim that a test may spoil."""
    return shutil.copytree(cpp_folder / "shim", tmp_path / "shim")


def test_copied_shim_still_serves(any_compiler, source_folder, shim_copy):
    done = compile_only(any_compiler, source_folder / "third_party" / "layouts.cpp", shim=shim_copy)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("header", "text", "left", "codelet"), REMOVED)
def test_missing_name_is_noticed(any_compiler, source_folder, shim_copy, header, text, left, codelet):
    path = shim_copy / "poplar" / header
    before = path.read_text()
    assert text in before, "the text to take out is not in the header"
    path.write_text(before.replace(text, left))
    done = compile_only(any_compiler, source_folder / "third_party" / f"{codelet}.cpp", shim=shim_copy)
    assert done.returncode != 0, f"{codelet} compiles without {text!r}"
    assert "error" in done.stderr
