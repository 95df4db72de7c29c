"""The command line as a shell would call it, in this process."""

from __future__ import annotations

import sys

from liqbt.cli import main


def call(monkeypatch, capsys, *arguments: object) -> tuple[int, str, str]:
    """Run the command line; return exit code, output, errors."""
    monkeypatch.setattr(sys, "argv", ["liqbt", *map(str, arguments)])
    code = 0
    try:
        main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    shown = capsys.readouterr()
    return code, shown.out, shown.err
