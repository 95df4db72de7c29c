"""Every number of a report is a row's: walked on a run of a small market, also made again."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner

from liqbt.cli import cli
from liqbt.errors import ConfigError, DataError
from liqbt.evaluation.claims.register import CLAIMS, statistic_of
from liqbt.gate.reproduce import held_against, reproduce
from liqbt.log.disk import sha256_file
from liqbt.report.pages.run import write_report
from liqbt.study.run import run_experiment
from liqbt.study.store import load_run
from liqbt.study.written import MANIFEST, json_text, sealed

pytestmark = pytest.mark.usefixtures("undrawn")

WORLD = "name: small\ndays: 24\nwarmup_days: 5\nmagnet: 2.0\n"
EXPERIMENT = """
name: small
data: {world: world.yaml, seed: 3}
symbols:
  COIN:
    events:
      mark: simulated/SIM
      open_interest: simulated/SIM
    margin: {tiers: BTCUSDT}
schedule: {warm_up: 5d}
evaluation: {bootstrap_reps: 200}
seed: 3
"""
NUMBER = re.compile(r"[−+]?\d[\d,]*(?:\.\d+)?")
UNTRACED = {"Would matter", "Independent markets"}
"""What a claim's file or the run's table of pooling says, and no row of scores."""


class Tables(HTMLParser):
    """Cells of a page's tables: the table's source, the row's first cell, heading, title, text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.cells: list[tuple[str, str, str, str, str, bool]] = []
        self.source, self.row, self.at, self.section = "", "", None, ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        held = dict(attrs)
        if tag == "section":
            self.section = held.get("id", "")
        if tag == "table":
            self.source = held.get("data-source", "")
        if tag == "th" and held.get("scope") == "row":
            self.at = ("row", None)
        if tag == "td":
            self.at = ("cell", held)

    def handle_data(self, data):
        if self.at is None:
            return
        kind, held = self.at
        if kind == "row":
            self.row = data
        else:
            words = "text" in (held.get("class") or "")
            self.cells.append(
                (self.source, self.row, held["data-head"], held.get("title", ""), data, words)
            )

    def handle_endtag(self, tag):
        if tag in {"td", "th"}:
            self.at = None


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("walk")
    (folder / "world.yaml").write_text(WORLD)
    (folder / "small.yaml").write_text(EXPERIMENT)
    return folder


@pytest.fixture(scope="module")
def run(home):
    return run_experiment(home / "small.yaml", home / "results", finish=write_report)


@pytest.fixture(scope="module")
def cells(run):
    return Tables((run.path / "report.html").read_text(encoding="utf-8")).cells


def _plain(text: str) -> float:
    return float(text.replace("−", "-").replace(",", "").replace("+", ""))


def test_every_number_of_a_table_names_the_row_that_it_was_read_from(run, cells):
    rows = json.loads((run.path / "metrics.json").read_text())
    traced = 0
    for source, first, head, title, text, words in cells:
        if words or head in UNTRACED or not re.search(r"\d", text):
            continue
        if not title:
            assert source, (first, head, text)
            continue
        traced += 1
        place = re.fullmatch(r"metrics\.json\[(\d+)\]\.(\w+)", title)
        row, field = rows[int(place[1])], place[2]
        claims = {f"{c.number} {c.id}".strip(): c for c in CLAIMS}
        if first in claims:  # on the causal scale: the row is the one that decides
            assert row["statistic"] == claims[first].statistic
            continue
        shown = NUMBER.findall(text)
        scale = 1.0 if field.startswith("n_") else statistic_of(row["statistic"]).unit.scale
        wanted = [row[field]]
        if field == "value" and len(shown) == 3:
            wanted += [row["ci_low"], row["ci_high"]]
        for number, value in zip(shown, wanted, strict=False):
            decimals = len(number.partition(".")[2])
            assert _plain(number) == pytest.approx(scale * value, abs=0.5001 * 10.0**-decimals)
    assert traced > 300


def test_every_row_of_both_sides_is_on_the_page(run, cells):
    rows = json.loads((run.path / "metrics.json").read_text())
    shown = {int(m[1]) for c in cells if (m := re.match(r"metrics\.json\[(\d+)\]", c[3]))}
    absent = [row for i, row in enumerate(rows) if i not in shown and row["symbol"] != "pooled"]
    assert absent == []


def test_sources_of_tables_are_files_of_the_run_and_tables_in_them(run, cells):
    tables = json.loads((run.path / "tables.json").read_text())
    curves = json.loads((run.path / "curves.json").read_text())
    for source in {cell[0] for cell in cells} - {"", "fixed words"}:
        file, _, key = source.partition(" ")
        assert (run.path / file.rstrip(",")).is_file(), source
        if file in {"tables.json", "curves.json"}:
            assert {"tables.json": tables, "curves.json": curves}[file][key], source


def test_numbers_in_sentences_are_numbers_of_rows(run):
    text = (run.path / "report.html").read_text(encoding="utf-8")
    lede = re.search(r'<p class="lede">(.*?)</p>', text, re.DOTALL)[1]
    one = re.search(r"In one line: (.*?)</p>", text, re.DOTALL)[1]
    known = {"24", "85", "11", "10", "9", "8", "7", "6", "5", "4", "3", "2", "1", "12"}
    for row in json.loads((run.path / "metrics.json").read_text()):
        scale = statistic_of(row["statistic"]).unit.scale
        for value in (row["value"], row["null"], row["ci_low"], row["ci_high"]):
            if value is not None:
                known |= {f"{abs(scale * value):,.{d}f}" for d in range(4)}
        known |= {f"{row['n_episodes']:,}", f"{row['n_days']:,}"}
    found = [n.strip("−+,") for n in NUMBER.findall(f"{lede} {one}")]
    assert len(found) > 8
    assert set(found) <= known


def test_a_run_made_again_is_the_same_to_the_byte(run, home):
    found = reproduce(run.path, experiment=home / "small.yaml")
    assert found.same
    assert found.causes == ()
    assert found.again == run.run_id
    assert {"metrics.json", "tables.json", "forecasts.parquet"} <= set(found.equal)
    assert "report.html" in found.apart  # nobody wrote the second one's report
    assert "equal, byte for byte" in found.text


@pytest.fixture
def copy(run, tmp_path):
    shutil.copytree(run.path, tmp_path / run.run_id)
    return tmp_path / run.run_id


def stated(copy, manifest):
    """Write a manifest as the run of such files would have."""
    for name in manifest["files"]:
        if (copy / name).is_file():
            manifest["files"][name] = sha256_file(copy / name)
    (copy / MANIFEST).write_text(json_text(sealed(manifest)), encoding="utf-8")


def test_where_the_bytes_part_is_said_by_row_file_and_column(run, copy):
    scores = json.loads((copy / "metrics.json").read_text())
    scores[7]["value"] += 1e-9
    (copy / "metrics.json").write_text(json.dumps(scores))
    stated(copy, dict(run.manifest))
    (copy / "prices.parquet").unlink()
    (copy / "days.parquet").write_bytes((copy / "outcomes.parquet").read_bytes())
    (copy / "report.md").write_text("other\n")
    found = held_against(load_run(copy), run)
    where = {one.file: one.where for one in found.parted}
    assert next(iter(where)) == "metrics.json"
    name = "/".join(str(scores[7][k]) for k in ("estimator", "claim", "symbol", "horizon", "side"))
    assert where["metrics.json"].startswith(f"row [7], {name}/{scores[7]['statistic']}: value: ")
    assert where["prices.parquet"] == "it is not there now"
    assert where["days.parquet"].startswith("columns differ")
    assert where["report.md"].startswith("line 1: ")
    assert "prices.parquet is not as the run wrote it" in found.causes
    assert not found.same
    assert f"{len(where)} of " in found.text


def test_other_code_and_other_events_come_first(run, copy):
    manifest = json.loads((copy / MANIFEST).read_text())
    manifest["hashes"] |= {"code": "0" * 64, "tape": {"COIN": "1" * 64}, "gate": "2"}
    manifest["report"]["code"] = "3"
    stated(copy, manifest)
    found = held_against(load_run(copy), run)
    assert found.causes[0].startswith("the tape of COIN")
    assert "the package's code" in found.causes
    assert "the document of the validity gate" in found.causes
    assert found.text.startswith("made differently: the tape of COIN")
    assert "report.html" in found.apart
    assert [one.file for one in found.parted] == [MANIFEST]


def test_what_cannot_be_made_again_is_refused_in_a_sentence(run, copy, tmp_path, monkeypatch):
    with pytest.raises(DataError, match="the folder of a run"):
        reproduce(tmp_path / "nothing")
    monkeypatch.chdir(tmp_path)
    deep = tmp_path / "a" / "results" / "small" / run.run_id
    shutil.copytree(copy, deep)
    with pytest.raises(ConfigError, match="name it with --experiment FILE"):
        reproduce(deep)
    with pytest.raises(ConfigError, match="no such file; expected the experiment's YAML"):
        reproduce(copy, experiment=tmp_path / "none.yaml")
    manifest = json.loads((copy / "manifest.json").read_text())
    for key, value, said in (
        ("registration", {"opening": {"number": 1}}, "liqbt unseal"),
        ("published", {"file": "x.csv"}, "somebody else published"),
    ):
        stated(copy, {**manifest, key: value})
        with pytest.raises(DataError, match=said):
            reproduce(copy)


def test_the_command_ends_with_2_where_the_input_is_bad(tmp_path):
    done = CliRunner().invoke(cli, ["reproduce", str(tmp_path / "nothing")])
    assert isinstance(done.exception, DataError)  # which `main` makes exit code 2 and a sentence
