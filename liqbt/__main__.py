"""`python -m liqbt` is `liqbt`."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C while it is still being imported is no traceback either."""
    try:
        from liqbt.cli import main as command_line
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; nothing half-written was kept\n")
        sys.exit(130)
    command_line()


if __name__ == "__main__":
    main()
