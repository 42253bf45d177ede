"""`python -m popsparse_py.bench layers`: what is timed, and how it is told."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

pytest.importorskip("torch", reason="torch is not installed")

from popsparse_py.bench import layers, layers_command
from popsparse_py.bench.__main__ import app


def test_command_times_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "_ROUNDS", 1)
    monkeypatch.setattr(layers, "_REPEATS", 2)
    monkeypatch.setattr(layers, "PATTERN_SIDES", (64, 128))
    done = CliRunner().invoke(app, ["layers", "--side", "64", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["schema"] == "popsparse.bench.layers/1"
    assert [(c["what"], c["batch"]) for c in found["calls"]] == [
        (what, batch) for what in ("forward", "recorded", "backward") for batch in (1, 16, 64)
    ]
    assert [(p["side"], p["blocks"]) for p in found["new_patterns"]] == [(64, 1), (128, 4)]
    assert "times nn.Linear" in CliRunner().invoke(app, ["layers", "--side", "64"]).output


def call(what: str, *seconds: float) -> Any:
    return layers.Call(what, 1, *seconds)


def test_verdict_names_the_slowest_ratio() -> None:
    calls = [call("forward", 1.0, 1.5, 1.2), call("recorded", 2.0, 4.0, 5.0)]
    assert layers_command.verdict(calls) == (
        "at most 2.50x the time of nn.Linear (recorded, batch 1), within the bound of 3x"
    )
    assert layers_command.verdict([call("forward", 1.0, 3.5, 1.0)]).endswith("over the bound of 3x")
