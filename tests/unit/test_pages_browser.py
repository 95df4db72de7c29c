"""Every page but report and explorer in a real browser: drawn, silent, whole on paper and phone."""

from __future__ import annotations

import base64
import re
from types import SimpleNamespace

import pytest
from browser import browser, chromium
from explored import explored, hostile
from made_pages import write_pages

from liqbt.report.pages.run import write_report

pytestmark = pytest.mark.skipif(
    chromium() is None, reason="no Chromium: apt-get install chromium (or google-chrome)"
)
NAMES = ("quality", "search", "truth", "plane", "validity", "card")
HOSTILE = "</script><img src=x onerror=window.hacked=1><script>window.hacked=1</script>&\"'"
UPRIGHT, ACROSS = 711, 1039  # CSS pixels between the margins of 11 mm of an A4
CUT = """
[...document.querySelectorAll('body *')].filter(e => {
  if (innerWidth < 1000 && e.closest('.broad')) return false;  // printed across
  const s = getComputedStyle(e), r = e.getBoundingClientRect();
  if (!r.width || s.display === 'inline') return false;
  const within = s.overflowX === 'visible' || e.scrollWidth <= e.clientWidth + 1;
  return r.right > innerWidth + 1 || !within;
}).map(e => e.tagName + ' ' + e.textContent.trim().slice(0, 60))
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Pages of a run, and of one in which every foreign word is hostile."""
    fair, foul = tmp_path_factory.mktemp("fair"), tmp_path_factory.mktemp("foul")
    run = explored(("BTCUSDT",))
    found = {**write_pages(fair, run, "BTC"), "report": write_report(run, fair)}
    return SimpleNamespace(fair=found, foul=write_pages(foul, hostile(HOSTILE), HOSTILE))


@pytest.fixture(scope="module")
def chrome(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_drawn_and_silent_and_fits_a_phone(chrome, pages, name):
    chrome.open(pages.fair[name])
    assert chrome.complaints() == []
    assert chrome.evaluate("document.querySelectorAll('table tbody tr').length") > 0
    shown, broken = chrome.evaluate(
        "[document.images.length, [...document.images].filter(i => !i.naturalWidth).length]"
    )
    assert broken == 0
    assert shown == chrome.evaluate("document.querySelectorAll('figure').length")
    assert shown > 0 or name == "card"
    links = chrome.evaluate("[...document.links].map(a => a.getAttribute('href'))")
    for link in links:
        held = f"!!document.getElementById({link[1:]!r})"
        assert (
            chrome.evaluate(held)
            if link.startswith("#")
            else (pages.fair[name].parent / link).is_file()
        ), link
    chrome.open(pages.fair[name], width=390, height=844)
    assert chrome.evaluate("document.documentElement.scrollWidth <= innerWidth")
    wide = "[...document.querySelectorAll('table')].filter(t => t.offsetWidth > innerWidth).length"
    assert chrome.evaluate(wide) == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_name_runs_no_script(chrome, pages, name):
    chrome.open(pages.foul[name])
    assert chrome.evaluate("typeof window.hacked") == "undefined"
    assert chrome.complaints() == []
    assert "onerror=window.hacked" in chrome.evaluate("document.body.textContent")
    made = "document.querySelectorAll('script, img:not([src^=\"data:\"]), iframe').length"
    assert chrome.evaluate(made) == 0


@pytest.mark.parametrize("name", [*NAMES, pytest.param("report", marks=pytest.mark.nightly)])
def test_paper_cuts_nothing(chrome, pages, name):
    """Within an A4's margins no box is wider than the page or than what holds it, folds open."""
    chrome.call("Emulation.setEmulatedMedia", media="print")
    try:
        for width in (ACROSS, UPRIGHT):
            chrome.open(pages.fair[name], width=width, height=1000)
            chrome.settle()
            assert chrome.evaluate(CUT) == []
        hidden = (
            "[...document.querySelectorAll('details > :not(summary)')]"
            ".filter(e => !e.checkVisibility() || !e.offsetHeight).length"
        )
        assert chrome.evaluate(hidden) == 0
        found = chrome.call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)
    finally:
        chrome.call("Emulation.setEmulatedMedia", media="")
    pdf = base64.b64decode(found["data"])
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 20
    assert name != "card" or len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1
