"""Everything that is said of the simulated market: one command, a table and figures beside it."""

from __future__ import annotations

import argparse
from pathlib import Path

import compare
import nothing
import pictures
import planted
import speed

HERE = Path(__file__).resolve().parent


def main():
    """Run the parts asked for; `table.md` keeps the others' text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--batches", type=int, default=100, help="of 4 markets, where nothing acts")
    parser.add_argument("--planted", type=int, default=6, help="batches a planted world")
    parser.add_argument("--seeds", type=int, default=16, help="markets compared with real ones")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    kept = sections(HERE / "table.md")
    for part in arguments.parts:
        kept[PARTS[part][0]] = PARTS[part][1](arguments)
        write(HERE / "table.md", kept)
        print(f"## {PARTS[part][0]}\n\n{kept[PARTS[part][0]]}", flush=True)


def sections(path):
    """Return the sections of a Markdown file by heading."""
    out = {}
    if path.is_file():
        for piece in path.read_text(encoding="utf-8").split("\n## ")[1:]:
            heading, _, text = piece.partition("\n\n")
            out[heading.strip()] = text
    return out


def write(path, texts):
    """Write the sections in their order."""
    order = [heading for heading, _ in PARTS.values() if heading in texts]
    parts = [f"## {heading}\n\n{texts[heading].strip()}\n" for heading in order]
    path.write_text("# Tables of the simulated market\n\n" + "\n".join(parts), encoding="utf-8")


PARTS = {
    "real": ("GroundTruth BTC and ETH", lambda a: compare.main(a.seeds)),
    "nothing": ("With every mechanism at zero", lambda a: nothing.main(a.batches, a.processes)),
    "planted": (
        "What each planted world amounts to",
        lambda a: planted.main(a.planted, a.processes),
    ),
    "pictures": ("Worlds drawn", lambda _: ", ".join(f"`{n}`" for n in pictures.main()) + "."),
    "speed": ("Time and memory", lambda _: speed.main()),
}


if __name__ == "__main__":
    main()
