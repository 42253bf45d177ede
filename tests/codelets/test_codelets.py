"""Our codelets keep to the subset of the contract, compile everywhere, and compute what a dense loop does."""

import re

import pytest

NAMES = (
    "cast",
    "copy",
    "dynamic_block_dot",
    "dynamic_block_sampled",
    "dynamic_block_transposed",
    "dynamic_element_dot",
    "dynamic_element_sampled",
    "dynamic_element_transposed",
    "next_operation",
    "packet_advance",
    "packet_dot",
    "packet_sampled",
    "packet_select",
    "packet_store",
    "reduce_partials",
    "static_block_dot",
    "static_element_dot",
    "zero",
)
CONTROL = ("NextOperation", "PacketAdvance")  # no templates; one worker
SYSTEM_HEADERS = {"poplar/HalfFloat.hpp", "poplar/Vertex.hpp", "cstddef", "cstdint", "type_traits"}
FORBIDDEN = (
    r"\bdouble\b",
    r"\bnew\b",
    r"\bdelete\b",
    r"\bthrow\b",
    r"\bvirtual\b",
    r"\bstatic (?!constexpr|void|_assert|inline)",
    r"\bstd::(?!uint16_t|size_t)",
    r"\bSupervisorVertex\b",
    r"\d_h\b",
    r"^#\s*(?!include|pragma once)",
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("standard", [17, 20])
def test_codelet_compiles_without_a_warning(compiler, cpp_folder, tmp_path, name, standard):
    source = cpp_folder / "codelets" / f"{name}.cpp"
    done = compiler.run(*compiler.flags(standard), "-O2", "-c", source, "-o", tmp_path / "object.o")
    assert done.returncode == 0, done.stderr


def test_stray_double_is_refused(compiler, cpp_folder, tmp_path):
    text = (cpp_folder / "codelets" / "zero.cpp").read_text()
    spoiled = tmp_path / "zero.cpp"
    spoiled.write_text(text.replace("static_cast<T>(0.0f)", "static_cast<T>(static_cast<float>(out[i]) * 0.0)"))
    assert spoiled.read_text() != text
    done = compiler.run(*compiler.flags(17), "-fsyntax-only", spoiled)
    assert done.returncode != 0
    assert "double-promotion" in done.stderr


def test_every_codelet_file_is_listed(cpp_folder):
    assert sorted(path.stem for path in (cpp_folder / "codelets").glob("*.cpp")) == sorted(NAMES)


def codelet_files(cpp_folder):
    """Name and text of each codelet and of their headers."""
    return [(path.name, path.read_text()) for path in sorted((cpp_folder / "codelets").glob("*.?pp"))]


def test_codelets_include_only_what_popc_has(cpp_folder):
    texts = codelet_files(cpp_folder)
    own = {name for name, _ in texts if name.endswith(".hpp")}
    for name, text in texts:
        assert set(re.findall(r"#include <(.+)>", text)) <= SYSTEM_HEADERS, name
        assert set(re.findall(r'#include "(.+)"', text)) <= own, name


def test_codelets_use_no_forbidden_word(cpp_folder):
    for name, text in codelet_files(cpp_folder):
        code = re.sub(r"//.*", "", text)
        if name.endswith(".hpp"):
            code = re.sub(r"^#(ifndef|define|endif).*_HPP$|^#endif.*$", "", code, flags=re.MULTILINE)
        for word in FORBIDDEN:
            assert not re.search(word, code, re.MULTILINE), f"{name}: {word}"


@pytest.fixture(scope="module")
def registry_objects(any_compiler, cpp_folder, tmp_path_factory):
    """The registry compiled once with the sanitizers."""
    flags = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    objects = []
    for name in ("registry", "registry_bind"):
        objects.append(tmp_path_factory.mktemp("registry") / f"{name}.o")
        source = cpp_folder / "model" / f"{name}.cpp"
        done = any_compiler.run(*any_compiler.flags(17), *flags, "-c", source, "-o", objects[-1])
        assert done.returncode == 0, done.stderr
    return flags, objects


@pytest.mark.parametrize("program", ["run_dots", "run_small_codelets"])
def test_codelets_equal_a_dense_loop(any_compiler, build, execute, source_folder, registry_objects, program):
    flags, objects = registry_objects
    execute(build(any_compiler, [source_folder / f"{program}.cpp", *objects], *flags))


def described(text):
    """{vertex: (workers, state bytes, {field: (direction, element, nesting, align, bytes)})} of print_registry."""
    vertices = {}
    for kind, name, *rest in (line.split() for line in text.splitlines()):
        if kind == "vertex":
            fields = {}
            vertices[name] = (int(rest[0]), int(rest[1]), fields)
        else:
            fields[name] = (rest[0], rest[1], *(int(number) for number in rest[2:]))
    return vertices


@pytest.fixture(scope="module")
def registry(any_compiler, build, execute, source_folder, registry_objects):
    """What the registry says of every vertex."""
    flags, objects = registry_objects
    return described(execute(build(any_compiler, [source_folder / "print_registry.cpp", *objects], *flags)))


def test_names_are_the_explicit_instantiations(cpp_folder, registry):
    instances = []
    for _, text in codelet_files(cpp_folder):
        instances += re.findall(r"^template class ([^;]+);", text, re.MULTILINE)
    expected = ["popsparse_py::" + instance.replace(" ", "") for instance in (*instances, *CONTROL)]
    assert len(set(expected)) == len(expected) == 75
    assert sorted(registry) == sorted(expected)


def test_field_types_follow_from_the_name(registry):
    dtypes = {"half": "float16", "float": "float32"}
    typed = {  # fields of the first and of the second template parameter
        "StaticElementDot": (("s", "r"), ("q",)),
        "StaticBlockDot": (("s", "r"), ("q",)),
        "ReducePartials": (("partials",), ("out",)),
        "Cast": (("in",), ("out",)),
        "Copy": (("in", "out"), ()),
        "Zero": (("out",), ()),
        "DynamicElementDot": (("s", "r"), ("q",)),
        "DynamicBlockDot": (("s", "r"), ("q",)),
        "DynamicElementTransposed": (("s", "r"),),
        "DynamicBlockTransposed": (("s", "r"),),
        "DynamicElementSampled": (("dy", "x"),),
        "DynamicBlockSampled": (("dy", "x"),),
        "PacketDot": (("s", "r"), ()),
        "PacketSampled": (("dy", "x"),),
        "PacketSelect": (("r", "outValues"),),
        "PacketStore": (("results",),),
    }
    for name, (workers, _, fields) in registry.items():
        if name.split("::")[1] in CONTROL:
            assert workers == 1
            continue
        base, arguments = re.fullmatch(r"popsparse_py::(\w+)<([\w,]+)>", name).groups()
        assert workers == 6
        for names, argument in zip(typed[base], arguments.split(",")):
            for field in names:
                direction = "out" if field in ("q", "out", "outValues") else "in"
                assert fields[field] == (direction, dtypes[argument], 1, 8, 4), f"{name} {field}"


def test_state_of_a_vertex_on_the_chip(registry):
    assert registry["popsparse_py::StaticBlockDot<half,half,16>"][:2] == (6, 20)
    assert registry["popsparse_py::StaticElementDot<half,float>"][2]["workList"] == ("in", "uint16", 1, 4, 4)
    assert registry["popsparse_py::StaticElementDot<half,float>"][2]["numColumns"] == ("value", "uint16", 0, 2, 2)
    assert registry["popsparse_py::ReducePartials<float,half>"][:2] == (6, 16)
    assert registry["popsparse_py::Zero<half>"][:2] == (6, 8)
    assert registry["popsparse_py::Zero<half>"][2]["count"] == ("value", "uint32", 0, 4, 4)
