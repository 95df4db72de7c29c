"""A recorded tape gives the same forecasts and episodes, commit after commit.

To change what is expected, on purpose and with a reason: `python tests/golden/record.py --reason`.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

HERE = Path(__file__).resolve().parent


def test_the_recorded_tape_gives_what_was_recorded():
    spec = importlib.util.spec_from_file_location("golden_record", HERE / "record.py")
    record = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(record)
    expected = json.loads((HERE / "expected.json").read_text(encoding="utf-8"))
    assert expected.pop("reason")
    found = record.results(record.recorded_tape())
    assert found == expected
    assert found["episodes"] > 100
    assert 0 < found["visited"] < found["episodes"]
