"""Pages in a real browser, from disk: what a reader sees, and what a hostile name can do."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from browser import browser, chromium
from explored import explored, hostile, poisoned

from liqbt.report.pages.explore import write_explorer
from liqbt.report.pages.run import write_report

pytestmark = pytest.mark.skipif(
    chromium() is None, reason="no Chromium: apt-get install chromium (or google-chrome)"
)
HOSTILE = "</script><img src=x onerror=window.hacked=1><script>window.hacked=1</script>&\"'"
J = 108  # clusters of this forecast have outcomes, all of them later
READY = "document.body.dataset.ready === '1'"
PIXELS = "document.querySelector('#plot canvas').toDataURL()"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A run's report and explorer; the explorer of another future; pages of hostile names."""
    found = SimpleNamespace()
    for name in ("run", "report", "future", "hostile"):
        setattr(found, name, tmp_path_factory.mktemp(name))
    run = explored()
    write_explorer(run, found.run)
    write_report(explored(("BTCUSDT",)), found.report)
    write_explorer(poisoned(run, J, np.random.default_rng(4)), found.future)
    write_report(hostile(HOSTILE), found.hostile)
    return found


@pytest.fixture(scope="module")
def chrome(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def explore(chrome, folder: Path, **size) -> None:
    chrome.open(folder / "explore.html", **size)
    chrome.until(READY)
    chrome.settle()


def seek(chrome, i: int) -> None:
    chrome.evaluate(
        f"(t => {{ t.value = {i}; t.dispatchEvent(new Event('input')); }})"
        "(document.getElementById('time'))"
    )
    chrome.settle()


def box(chrome) -> list[float]:
    """The plot's left, top, width and height."""
    return chrome.evaluate(
        "(r => [r.left, r.top, r.width, r.height])"
        "(document.querySelector('.u-over').getBoundingClientRect())"
    )


def rows(chrome) -> list[list[str]]:
    """The cells of the table of clusters."""
    return chrome.evaluate(
        "[...document.querySelectorAll('#clusters tbody tr')]"
        ".map(r => [...r.cells].map(c => c.textContent))"
    )


def tip(chrome) -> str | None:
    """What the tip says, or None where it is hidden."""
    return chrome.evaluate(
        "(t => t.hidden ? null : [...t.querySelectorAll('b, dt, dd')]"
        ".map(e => e.textContent).join('|'))(document.getElementById('tip'))"
    )


def test_the_page_draws_and_says_nothing_to_the_console(chrome, pages):
    explore(chrome, pages.run)
    assert chrome.complaints() == []
    n = chrome.evaluate(
        "(c => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        " const s = new Set(); for (let i = 0; i < d.length; i += 4)"
        " s.add(d[i] << 16 | d[i + 1] << 8 | d[i + 2]); return s.size; })"
        "(document.querySelector('#plot canvas'))"
    )
    assert n > 50  # shades of both colours
    assert chrome.evaluate("document.getElementById('outcomes').checked") is False
    assert chrome.evaluate("document.getElementById('dots').hidden") is True


def test_the_report_has_every_figure_and_its_links_lead_somewhere(chrome, pages):
    chrome.open(pages.report / "report.html")
    assert chrome.complaints() == []
    figures, broken = chrome.evaluate(
        "[document.images.length, [...document.images].filter(i => !i.naturalWidth).length]"
    )
    assert figures >= len(list((pages.report / "figures").iterdir())) > 4
    assert broken == 0
    links = chrome.evaluate("[...document.links].map(a => a.getAttribute('href'))")
    assert "explore.html" in links
    for link in links:
        if link.startswith("#"):
            assert chrome.evaluate(f"!!document.getElementById({link[1:]!r})"), link
        else:
            assert (pages.report / link).is_file(), link
    chrome.open(pages.report / "report.html", width=390, height=844)
    assert chrome.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_hover_tells_what_a_cluster_is(chrome, pages):
    explore(chrome, pages.run)
    seek(chrome, 132)  # episodes begin at each twelfth
    chrome.evaluate("document.getElementById('fit').click()")
    chrome.settle()
    said = ""
    left, top, width, height = box(chrome)
    for k in sorted(range(2, 99), key=lambda k: abs(k - 50)):  # near the price first
        chrome.mouse("Moved", left + width * 0.95, top + height * k / 100)
        said = tip(chrome) or ""
        if "placebo" in said:
            break
    for word in (
        "cluster",
        "notional",
        "USD",
        "age",
        "with the map",
        "without the map",
        "Brownian",
    ):
        assert word in said, (word, said)
    assert "visit in 24 h" in said
    assert "outcome" not in said
    known = {tuple(row[8:11]) for row in rows(chrome) if len(row) > 8}
    p = re.search(r"visit in 24 h\|([\d.]+ %) .*placebo\|([\d.]+ %) .*Brownian\|([\d.]+ %)", said)
    assert p
    assert p.groups() in known
    chrome.mouse("Moved", left + 2, top + 2)
    assert tip(chrome) is None


def test_nothing_later_than_the_slider_is_on_the_screen(chrome, pages):
    seen = {}
    for name in ("run", "future"):
        explore(chrome, getattr(pages, name))
        n = chrome.evaluate("+document.getElementById('time').max")
        chrome.evaluate("document.getElementById('outcomes').click()")
        seek(chrome, J)
        chrome.evaluate("document.getElementById('fit').click()")
        chrome.settle()
        chrome.until("document.querySelector('#clusters thead').textContent.includes('Outcome')")
        chrome.settle()
        then = [chrome.evaluate(PIXELS), rows(chrome)]
        seek(chrome, n)
        later = [chrome.evaluate(PIXELS), rows(chrome)]
        seek(chrome, J)
        chrome.evaluate("document.getElementById('fit').click()")
        chrome.settle()
        again = [chrome.evaluate(PIXELS), rows(chrome)]
        seen[name] = then, later, again
    (then, later, again), (theirs, another, _) = seen["run"], seen["future"]
    assert then == theirs  # to the pixel, outcomes and all
    assert then == again
    assert later[0] != another[0]
    assert later[1] != another[1]
    assert then[0] != later[0]


def test_outcomes_are_drawn_where_they_are_asked_for_and_reached(chrome, pages):
    explore(chrome, pages.run)
    seek(chrome, J)
    before = chrome.evaluate(PIXELS)
    chrome.evaluate("document.getElementById('outcomes').click()")
    chrome.until("document.querySelector('#clusters thead').textContent.includes('Outcome')")
    chrome.settle()
    assert chrome.evaluate(PIXELS) != before
    assert {row[-1] for row in rows(chrome) if len(row) > 8} == {"–"}  # none is over yet
    chrome.evaluate("document.getElementById('outcomes').click()")
    chrome.settle()
    assert chrome.evaluate(PIXELS) == before


def test_the_keyboard_does_what_the_mouse_does(chrome, pages):
    explore(chrome, pages.run)
    chrome.evaluate("document.getElementById('stage').focus()")
    last = chrome.evaluate("+document.getElementById('time').value")
    first = chrome.evaluate(PIXELS)
    chrome.key("ArrowLeft")
    assert chrome.evaluate("+document.getElementById('time').value") == last - 1
    chrome.key("ArrowRight")
    assert chrome.evaluate(PIXELS) == first
    chrome.key("n")
    assert "notional" in (tip(chrome) or "")
    chrome.key("+")
    assert chrome.evaluate(PIXELS) != first
    chrome.key("Home")
    before = chrome.evaluate(PIXELS)
    chrome.key("e")
    chrome.until("document.getElementById('estimator').value === '1'")
    chrome.until("!document.getElementById('hatched').hidden")  # it says what rests on its prior
    chrome.settle()
    assert chrome.evaluate(PIXELS) != before
    chrome.key("m")
    chrome.until(r"document.querySelector('#clusters .mark').textContent.match(/mark [34],\d{3}/)")
    assert chrome.complaints() == []


def test_wheel_and_drag_move_the_view(chrome, pages):
    explore(chrome, pages.run)
    left, top, width, height = box(chrome)
    first = chrome.evaluate(PIXELS)
    x, y = left + width / 2, top + height / 2
    chrome.mouse("Wheel", x, y, deltaX=0, deltaY=-300)
    zoomed = chrome.evaluate(PIXELS)
    assert zoomed != first
    chrome.mouse("Pressed", x, y, button="left", clickCount=1)
    chrome.mouse("Moved", x + 80, y + 20, button="left", buttons=1)
    chrome.mouse("Released", x + 80, y + 20, button="left", clickCount=1)
    assert chrome.evaluate(PIXELS) != zoomed
    assert chrome.complaints() == []


def test_a_phone_shows_it_whole_and_answers_a_tap(chrome, pages):
    explore(chrome, pages.run, width=390, height=844)
    assert chrome.evaluate("document.documentElement.scrollWidth") == 390
    left, top, width, height = box(chrome)
    said = None
    for k in range(5, 95):
        chrome.tap(left + width * 0.9, top + height * k / 100)
        said = tip(chrome)
        if said:
            break
    assert said
    assert "notional" in said
    edges = chrome.evaluate(
        "[...document.querySelectorAll('#tip, .bar > *, .scrub > *, .legend > *')]"
        ".filter(e => !e.hidden).map(e => e.getBoundingClientRect())"
        ".map(r => [r.left, r.right])"
    )
    assert all(a >= 0 and b <= 390 for a, b in edges), edges


def test_hostile_names_run_nothing(chrome, pages):
    chrome.open(pages.hostile / "report.html")
    assert chrome.evaluate("typeof window.hacked") == "undefined"
    assert chrome.evaluate("document.querySelectorAll('script, [onerror]').length") == 0
    explore(chrome, pages.hostile)
    chrome.evaluate("document.getElementById('stage').focus()")
    chrome.key("n")
    assert chrome.evaluate("typeof window.hacked") == "undefined"
    assert chrome.evaluate("document.querySelectorAll('img, [onerror]').length") == 0
    assert chrome.evaluate("document.querySelector('#market option').textContent") == HOSTILE
    assert chrome.complaints() == []
    # and what came past the escapes would be stopped by the page's policy
    chrome.evaluate("document.body.innerHTML += '<img src=x onerror=\"window.hacked = 1\">'")
    chrome.settle()
    assert chrome.evaluate("typeof window.hacked") == "undefined"
    assert chrome.complaints()
