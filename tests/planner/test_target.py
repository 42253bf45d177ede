"""Target: shipped numbers, changes, storage, and the errors of a malformed description."""

import copy
import json
import pickle
import re
import sys

import pytest

from popsparse_planner.errors import TargetError
from popsparse_planner.target import STATUSES, Fact, Target, load_target, target_names

TILES = {"value": 8, "unit": "tiles", "source": "a test", "status": "assumed"}


def test_bow_has_the_published_numbers():
    bow = load_target()
    assert (bow.name, bow.tiles, bow.workers, bow.tile_bytes, bow.clock_hz) == ("bow", 1472, 6, 638_976, 1.85e9)
    assert (bow.exchange_bytes_per_cycle, bow.tiles_per_exchange_bus, bow.vector_bytes) == (4.0, 2, 8)
    assert bow.coefficient_load_bytes_per_cycle == 8.0 and bow.u16_max == 65_535
    assert dict(bow.amp_macs_per_cycle) == {"float16": 64.0, "float32": 16.0}
    assert repr(bow) == "Target('bow', tiles=1472, clock_hz=1.85e+09)"


def test_bow_has_the_coefficients_of_the_cost_model():
    names = {"exchange_step_cycles", "exchange_fragment_cycles", "compute_step_cycles", "sync_cycles", "call_cycles"}
    assert names | {"code_bytes", "exchange_code_bytes_per_fragment"} <= set(load_target().model)
    assert load_target().model["sync_cycles"] == 126.0


def test_mk2_is_bow_at_another_clock():
    bow, mk2 = load_target("bow"), load_target("mk2")
    assert mk2.clock_hz == 1.325e9
    assert {key for key in bow.facts if bow.facts[key] != mk2.facts[key]} == {"clock_hz"}
    assert target_names() == ("bow", "mk2")


@pytest.mark.parametrize("name", ["bow", "mk2"])
def test_every_number_names_its_source_and_status(name):
    for fact in load_target(name).facts.values():
        assert fact.source and fact.unit and fact.status in STATUSES


def test_replace_changes_numbers_and_says_so():
    bow = load_target()
    small = bow.replace(tiles=4, model={"sync_cycles": 0}, amp_macs_per_cycle={"float16": 32})
    assert (small.tiles, small.model["sync_cycles"], small.amp_macs_per_cycle["float16"]) == (4, 0.0, 32.0)
    assert small.model["call_cycles"] == bow.model["call_cycles"] and bow.tiles == 1472
    assert small.facts["tiles"] == Fact(4, "tiles", "set by the caller in place of bow's number", "assumed")
    assert bow.replace(name="mine").name == "mine"
    fitted = Fact(2.5, "cycles/row", "a fit", "fitted")
    assert bow.replace(model={"dense_row_cycles": fitted}).facts["model.dense_row_cycles"] == fitted


def test_a_target_is_a_value():
    bow = load_target()
    assert bow == load_target() and hash(bow) == hash(load_target()) and bow != bow.replace(tiles=4)
    assert load_target(bow) is bow
    assert pickle.loads(pickle.dumps(bow)) == bow and copy.deepcopy(bow) == bow
    for change in (lambda: setattr(bow, "name", "x"), lambda: setattr(bow, "tiles", 4)):
        with pytest.raises(AttributeError):
            change()
    for mapping in (bow.facts, bow.model, bow.amp_macs_per_cycle):
        with pytest.raises(TypeError):
            mapping["x"] = 1


def test_json_round_trips_byte_for_byte():
    bow = load_target().replace(tiles=4)
    text = json.dumps(bow.to_dict())
    assert Target.from_dict(json.loads(text)) == bow
    assert json.dumps(Target.from_dict(json.loads(text)).to_dict()) == text
    shuffled = Target(bow.name, dict(reversed(list(bow.facts.items()))))
    assert shuffled == bow and json.dumps(shuffled.to_dict()) == text


def _toml(**tables):
    lines = [f"{key} = {json.dumps(value)}" for key, value in tables.items() if not isinstance(value, dict)]
    for key, table in tables.items():
        if isinstance(table, dict):
            lines += [
                f"[{key.replace('__', '.')}]",
                *(f"{name} = {json.dumps(value)}" for name, value in table.items()),
            ]
    return "\n".join(lines)


def _load(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return load_target(path)


def test_a_file_may_start_from_a_shipped_target(tmp_path):
    coefficient = {"value": 1.5, "unit": "cycles/column", "source": "a test", "status": "fitted"}
    mine = _load(tmp_path, _toml(base="mk2", tiles=TILES, model__dense_column_cycles=coefficient))
    assert (mine.name, mine.tiles, mine.clock_hz) == ("mine", 8, 1.325e9)
    assert mine.model["dense_column_cycles"] == 1.5
    assert load_target(str(tmp_path / "mine.toml")) == mine


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"value": 0}, "tiles must be a whole number of at least 1, got 0"),
        ({"value": 4.0}, "tiles must be a whole number of at least 1, got 4.0"),
        ({"value": "4"}, "tiles must be a finite number, got '4'"),
        ({"value": True}, "tiles must be a finite number, got True"),
        ({"unit": "bytes"}, "tiles must be in tiles, got unit 'bytes'"),
        ({"status": "guessed"}, "tiles has status 'guessed': expected one of measured, published, fitted, assumed"),
        ({"source": " "}, "tiles names no source"),
        ({"note": "x"}, "[tiles] has unknown key 'note'; expected value, unit, source, status"),
    ],
)
def test_a_bad_number_is_named(tmp_path, changes, text):
    with pytest.raises(TargetError, match=re.escape(f"target 'mine': {text}")):
        _load(tmp_path, _toml(base="bow", tiles={**TILES, **changes}))


@pytest.mark.parametrize(
    ("tables", "text"),
    [
        ({"tiels": TILES}, "target 'mine': unknown key 'tiels'; expected one of tiles, workers, tile_bytes"),
        ({"model__Sync": TILES}, "unknown key 'model.Sync'"),
        ({"tiles": {"value": 4}}, "target 'mine': [tiles] has no unit, source, status"),
        ({"tiles": 4}, "target 'mine': [tiles] has no value, unit, source, status"),
        ({"model": 4}, "model must be a table of numbers by name, got 4"),
        ({"clock_hz": {**TILES, "unit": "hertz", "value": -1.0}}, "clock_hz must be greater than 0, got -1.0"),
        ({"model__x": {**TILES, "unit": "parsecs"}}, "model.x has unknown unit 'parsecs': expected words joined by /"),
        ({"model__x": {**TILES, "unit": 3}}, "model.x has unknown unit 3"),
        ({"base": "ipu9"}, "base must be another of bow, mk2, got 'ipu9'"),
        ({"name": "bow", "base": "bow"}, "base must be another of bow, mk2, got 'bow'"),
        ({"name": 4}, "a target's name must be a text, got 4"),
    ],
)
def test_a_bad_file_is_named(tmp_path, tables, text):
    with pytest.raises(TargetError, match=re.escape(text)):
        _load(tmp_path, _toml(**{"base": "bow", **tables}))


def test_a_file_must_be_complete(tmp_path):
    with pytest.raises(TargetError, match=r"target 'mine' lacks workers, tile_bytes, .*, amp_macs_per_cycle\.float32"):
        _load(tmp_path, _toml(tiles=TILES))


def test_a_file_must_be_toml(tmp_path):
    with pytest.raises(TargetError, match=r"cannot read target file .*mine\.toml: "):
        _load(tmp_path, "tiles = = 4")
    with pytest.raises(TargetError, match=r"cannot read target file .*absent\.toml: .*No such file"):
        load_target(tmp_path / "absent.toml")


def test_an_unknown_target_lists_the_known_ones():
    text = "target 'nope' is unknown: expected one of bow, mk2, or the path of a TOML file"
    with pytest.raises(TargetError, match=text):
        load_target("nope")


def test_replace_names_what_is_unknown_or_wrong():
    bow = load_target()
    with pytest.raises(TargetError, match=r"target 'bow' has no number 'tile': expected .*tile_bytes, tiles"):
        bow.replace(tile=4)
    with pytest.raises(TargetError, match=r"has no number 'model\.syncs': expected .*model\.sync_cycles"):
        bow.replace(model={"syncs": 4})
    with pytest.raises(TargetError, match="tiles must be a whole number of at least 1, got -4"):
        bow.replace(tiles=-4)
    with pytest.raises(TargetError, match="model must be a table of numbers by name, got 4"):
        bow.replace(model=4)
    with pytest.raises(TargetError, match=r"model\.sync_cycles must be a finite number, got inf"):
        bow.replace(model={"sync_cycles": float("inf")})


def test_a_stored_target_must_be_whole():
    stored = load_target().to_dict()
    with pytest.raises(TargetError, match="a stored target has the keys name and facts, got facts, name, note"):
        Target.from_dict({**stored, "note": 1})
    with pytest.raises(TargetError, match=re.escape("[tiles] has unknown key 'note'")):
        Target.from_dict({**stored, "facts": {**stored["facts"], "tiles": {**TILES, "note": 1}}})
    with pytest.raises(TargetError, match="target 'bow' lacks tiles"):
        Target.from_dict({**stored, "facts": {k: v for k, v in stored["facts"].items() if k != "tiles"}})


def test_a_missing_toml_reader_is_named(monkeypatch):
    reader = "tomllib" if sys.version_info >= (3, 11) else "tomli"
    monkeypatch.setitem(sys.modules, reader, None)
    with pytest.raises(TargetError, match=f"reading a target needs the package {reader}: python -m pip install"):
        load_target("bow")
