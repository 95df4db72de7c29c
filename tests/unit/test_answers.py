"""The command line's answers as calls: the same words and values, one sentence where wrong."""

from __future__ import annotations

import inspect
import json

import pandas as pd
import pytest
from shell import call

import liqbt
from liqbt import answers
from liqbt.errors import ConfigError, LiqbtError
from liqbt.study.events import simulate_world

CALLS = ("compare", "ingest", "leaks", "plane", "quality", "randomise", "register", "report")
CALLS = (*CALLS, "forward_init", "forward_report", "forward_step", "reproduce", "score")
CALLS = (*CALLS, "search", "truth", "unseal")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("answers")
    (folder / "w.yaml").write_text("name: w\ndays: 6\nwarmup_days: 2\n")
    simulate_world(folder / "w.yaml", seed=1, log_dir=folder / "log")
    return folder


@pytest.mark.parametrize("name", ["quality", "leaks"])
def test_an_answer_is_what_the_command_prints(home, monkeypatch, capsys, name):
    answer = getattr(liqbt, name)(str(home / "log"))
    code, out, _ = call(monkeypatch, capsys, "log", name, home / "log")
    assert (code, out.strip()) == (0, answer.text.strip())
    assert repr(answer) == answer.text
    assert "<pre>" in answer._repr_html_()
    code, out, _ = call(monkeypatch, capsys, "log", name, home / "log", "--json")
    assert json.loads(out) == answer.value


def test_rows_are_frames_and_others_are_named(home):
    answer = liqbt.leaks(home / "log")
    frame = answer.frame()
    assert isinstance(frame, pd.DataFrame)
    assert len(frame) == len(answer.value["feeds"])
    with pytest.raises(ConfigError, match="no rows 'trials'; expected one of feeds"):
        answer.frame("trials")


def test_a_file_is_read_once(home, tmp_path):
    (tmp_path / "map.yaml").write_text(
        "time: {column: t, unit: s}\nstamp: instant\nfeed: polled\nlatency: 60s\nvenue: v\n"
        "symbol: A\nemit: [{kind: mark, fields: {price: px}}]\n"
    )
    (tmp_path / "a.csv").write_text("t,px\n1700000000,5\n1700000300,6\n")
    for _ in range(2):
        answer = liqbt.ingest(tmp_path / "map.yaml", tmp_path / "a.csv", tmp_path / "log")
        assert answer.frame()["rows"].tolist() == [2]
    assert len(liqbt.open_log(tmp_path / "log").commits()) == 1


@pytest.mark.parametrize("name", CALLS)
def test_what_is_not_there_is_one_sentence(tmp_path, name):
    function = getattr(answers, name)
    parameters = inspect.signature(function).parameters.values()
    needed = [p for p in parameters if p.default is inspect.Parameter.empty]
    with pytest.raises(LiqbtError) as caught:
        getattr(liqbt, name)(*[str(tmp_path / f"no{i}") for i in range(len(needed))])
    assert "\n" not in str(caught.value)
    assert inspect.getdoc(function)
