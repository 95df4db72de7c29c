"""A month of four venues recorded twice, undisturbed and killed and cut off, and compared.

Nothing outside this machine is asked: `tests/venues.py` plays the venues. The market's clock goes
as fast as the recorder reads.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests"))

import venues  # noqa: E402

from liqbt.types import DAY_NS, HOUR_NS, MINUTE_NS  # noqa: E402

NOTHING = (
    "problems",
    "commits lost",
    "lines lost",
    "files refused",
    "told twice",
    "unknown to the other",
    "missing outside gaps",
    "wrong",
    "torn",
    "bands wrong",
)
WORDS = {
    "events": "pushed events in the log",
    "commits": "commits",
    "gaps": "gaps marked",
    "hours": "hours in them, of four venues",
    "lines": "lines kept as they came",
    "missing": "events that only the undisturbed log has",
    "missing outside gaps": "of these outside marked gaps",
    "told twice": "events that stand twice",
    "unknown to the other": "events that the undisturbed log does not know",
    "lines lost": "whole lines on disk at a kill that are gone",
    "commits lost": "kills after which a commit was gone or another",
    "files refused": "files that the log refused",
    "problems": "problems that `log verify` names",
    "answers": "answers about open interest",
    "wrong": "of these not true between question and answer",
    "censuses": "censuses of positions",
    "torn": "of these not whole, or not known at one time",
    "bands": "bands of depth",
    "bands wrong": "of these not true between question and answer",
}


def main() -> None:
    """Play, compare, write the table; exit 1 where something was lost or told twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--drops", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=HERE / "table.md")
    asked = parser.parse_args()
    messages = venues.script(asked.days * DAY_NS // MINUTE_NS, asked.seed)
    with tempfile.TemporaryDirectory() as name:
        found, seen, took = {}, {}, {}
        for what, kills, drops in (("quiet", 0, 0), ("disturbed", asked.kills, asked.drops)):
            folder = Path(name) / what
            folder.mkdir()
            began = time.monotonic()
            season = venues.season(
                folder,
                messages,
                kills=kills,
                drops=drops,
                seed=asked.seed,
                rotate_ns=6 * HOUR_NS,
                away_ns=HOUR_NS // 2,
            )
            seen[what] = asyncio.run(season)
            took[what] = time.monotonic() - began
            found[what] = venues.compare(folder, Path(name) / "quiet", seen[what])
    text = "\n".join(_table(asked, len(messages), found, seen, took)) + "\n"
    asked.out.write_text(text, encoding="utf-8")
    print(text)
    sys.exit(any(found[what][word] for what in found for word in NOTHING))


def _table(
    asked: argparse.Namespace,
    messages: int,
    found: dict[str, dict[str, Any]],
    seen: dict[str, dict[str, Any]],
    took: dict[str, float],
) -> list[str]:
    rows = [
        f"{asked.days} days of four venues, {messages:,} messages; the disturbed recorder was "
        f"killed {asked.kills} times (nobody listens for half an hour of the market after "
        f"each) and cut off {asked.drops} times; seed {asked.seed}.",
        "",
        "| | undisturbed | killed and cut off |",
        "|---|---|---|",
        f"| messages sent | {seen['quiet']['sent']:,} | {seen['disturbed']['sent']:,} |",
        f"| sent a second time | {seen['quiet']['again']:,} | {seen['disturbed']['again']:,} |",
        f"| nobody was connected for | {seen['quiet']['missed']:,} | "
        f"{seen['disturbed']['missed']:,} |",
    ]
    for word, text in WORDS.items():
        bold = "**" if word in NOTHING else ""
        cells = [f"{bold}{found[what][word]:,}{bold}" for what in ("quiet", "disturbed")]
        rows.append(f"| {text} | {' | '.join(cells)} |")
    speed = asked.days * 86_400 / took["quiet"]
    rows += ["", f"The undisturbed month ran at about {speed:,.0f} times its own speed."]
    return rows


if __name__ == "__main__":
    main()
