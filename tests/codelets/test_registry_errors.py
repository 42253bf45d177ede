"""What the registry refuses, by the text of each error."""

import pytest

EXPECTED = (
    "no error",
    "field vector: a SHORT_SPAN holds at most 2047 elements, got 2048",
    "field edge: a scalar edge needs 1 element, got 2",
    "field count is a scalar: it takes no single vector",
    "field list is a list of vectors: it takes no single vector",
    "no error",
    "field vector is no list of vectors",
    "no error",
    "field count: expected an integer in [0, 65535], got 65536.000000",
    "field count: expected an integer in [0, 65535], got 1.500000",
    "no error",
    "field offset: expected an integer in [-2147483648, 2147483647], got 2147483648.000000",
    "field flag: expected an integer in [0, 1], got 2.000000",
    "no error",
    "field edge is no scalar",
    "field packed: a short vector cannot be set from one number",
    "Everything: field vector is not registered in declaration order",
)


def test_each_error_names_the_field(any_compiler, build, execute, source_folder, cpp_folder):
    sources = [source_folder / "print_errors.cpp", cpp_folder / "model" / "registry_bind.cpp"]
    program = build(any_compiler, sources, "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    assert tuple(execute(program).splitlines()) == EXPECTED


@pytest.mark.parametrize("field", ["double value", "float *pointer", "long long value"])
def test_unsupported_field_type_does_not_compile(any_compiler, tmp_path, field):
    name = field.split()[-1].lstrip("*")
    source = tmp_path / "unsupported.cpp"
    source.write_text(
        '#include "registry_entry.hpp"\n'
        f"struct V : poplar::Vertex {{ {field}; void compute() {{}} }};\n"
        f'int main() {{ return popsparse_py::model::field<V>("{name}", &V::{name}).nesting == 0; }}\n'
    )
    done = any_compiler.run(*any_compiler.flags(17), "-fsyntax-only", source)
    assert done.returncode != 0
    assert "a vertex field holds bool, integers up to 32 bits, half, float or their short vectors" in done.stderr
