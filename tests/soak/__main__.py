"""Run campaigns and print one table: `python -m soak`, or some of them by name."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import warnings
from dataclasses import asdict
from pathlib import Path

from soak.campaigns import ATTACKS, CAMPAIGNS
from soak.row import Row, table


def main() -> int:
    """Run the campaigns; exit 1 if anything was lost."""
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(CAMPAIGNS)}; all by default")
    parser.add_argument("--share", type=float, default=1.0, help="of the tries of each campaign")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--attacks", action="store_true", help="those of research/attacks alone")
    parser.add_argument("--folder", type=Path, help="where to work; memory is best (/dev/shm)")
    parser.add_argument("--json", type=Path, help="write the rows there, too")
    chosen = parser.parse_args()
    known = ATTACKS if chosen.attacks else CAMPAIGNS
    unknown = sorted(set(chosen.names) - set(known))
    if unknown:
        parser.error(f"no campaign is called {unknown[0]}; known are {', '.join(known)}")
    warnings.simplefilter("error")
    os.environ["MPLBACKEND"] = "agg"
    shared = Path("/dev/shm")
    rows: list[Row] = []
    try:
        for name in chosen.names or known:
            campaign, tries = known[name]
            start = time.monotonic()
            base = chosen.folder or (shared if shared.is_dir() else None)
            with tempfile.TemporaryDirectory(prefix="soak-", dir=base) as folder:
                Path(folder).chmod(0o755)  # the read-only campaign comes back as another user
                each = campaign(max(1, round(tries * chosen.share)), chosen.seed, Path(folder))
                rows.extend(each)
            print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    finally:  # hours are not lost with the campaign that fails itself
        print(table(rows))
        if chosen.json:
            chosen.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    return 1 if any(row.lost for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
