"""`liqbt claims plane` from end to end on a small simulated market, and its page."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from made_pages import plane_document
from shell import call

from liqbt.evaluation.accuracy.hits import READINGS
from liqbt.report.pages.plane import write_plane_page

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """The demo experiment, short."""
    folder = tmp_path_factory.mktemp("plane")
    (folder / "world.yaml").write_text("name: w\ndays: 16\nwarmup_days: 5\nmagnet: 1.0\n")
    (folder / "x.yaml").write_text(
        "name: x\ndata: {world: world.yaml, seed: 1}\n"
        "symbols:\n  SIM:\n    events: {mark: simulated/SIM, open_interest: simulated/SIM}\n"
        "    margin: {tiers: BTCUSDT}\n"
        "schedule: {warm_up: 5d, every: 2h}\nevaluation: {bootstrap_reps: 200}\n"
    )
    return folder / "x.yaml"


def test_plane_on_a_simulated_market(monkeypatch, capsys, experiment):
    results = experiment.parent / "r"
    arguments = ("claims", "plane", experiment, "--results", results)
    code, out, err = call(monkeypatch, capsys, *arguments, "--json")
    assert (code, err) == (0, "")
    value = json.loads(out)
    page = results / "x" / value["run_id"] / "plane" / "plane.html"
    assert value["page"] == str(page)
    assert [row["horizon"] for row in value["levels"]] == ["1h", "2h", "4h", "8h", "24h"]
    assert {row["reading"] for row in value["readings"]} == set(READINGS)
    assert {v["word"] for v in value["verdicts"]} <= {"withheld", "not testable on this data"}
    assert json.loads((page.parent / "plane.json").read_text()).items() <= value.items()
    for row in value["readings"]:
        if row["hit_rate"]["n_episodes"]:
            assert row["null"]["brownian"] is not None
    names = {p.name for p in page.parent.iterdir()}
    assert names == {"plane.html", "plane.json", "plane.png"}
    before = {name: (page.parent / name).read_bytes() for name in names}
    out_dir = experiment.parent / "again"
    code, out, _ = call(monkeypatch, capsys, *arguments, "--out", out_dir)
    assert code == 0
    assert "no information" in out
    assert {name: (out_dir / name).read_bytes() for name in names} == before


@pytest.mark.parametrize(
    ("horizons", "says"),
    [
        ("90d", "a horizon of 90d is longer than the data"),
        ("48h", "landmarks at 2d"),
        ("1s", "longer than the latency"),
        ("4h,soon", "'soon' is no duration"),
    ],
)
def test_bad_horizons_are_one_sentence(monkeypatch, capsys, experiment, horizons, says):
    out_dir = experiment.parent / "never"
    results = experiment.parent / "r"
    arguments = (experiment, "--results", results, "--horizons", horizons, "--out", out_dir)
    code, out, err = call(monkeypatch, capsys, "claims", "plane", *arguments)
    assert (code, out) == (2, "")
    assert says in err
    assert "Traceback" not in err
    assert not out_dir.exists()


def test_no_such_experiment(monkeypatch, capsys, tmp_path):
    code, out, err = call(monkeypatch, capsys, "claims", "plane", tmp_path / "none.yaml")
    assert (code, out) == (2, "")
    assert "none.yaml: cannot be read" in err


class Words(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [v for k, v in attrs if k in {"src", "href"}]


def test_the_page_is_self_contained_and_escaped(tmp_path):
    path = write_plane_page(plane_document(), tmp_path / "deep" / "out")
    text = path.read_text()
    page = Words(text)
    assert not {"script", "i", "b"} & set(page.tags)
    assert page.links
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    assert "nowhere" in text
    assert not re.search(r"\bnan\b|\bNone\b", text)


def test_a_page_that_cannot_be_written_leaves_nothing_half_written(tmp_path):
    out = tmp_path / "out"
    (out / "plane.png").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        write_plane_page(plane_document(), out)
    assert not [p for p in out.iterdir() if p.name.startswith(".")]
    assert not (out / "plane.html").exists()
