"""`python -m liqbt` is `liqbt`."""

import gc
import os
import sys


def main() -> None:
    """Run the command line; Ctrl-C while it is still being imported is no traceback either.

    What a command makes it keeps until it ends: looking for cycles after every 700 new objects
    costs a twentieth of its time and finds nothing. Its matrices are tall and narrow: threads of
    BLAS wait for each other for longer than they compute (on a busy machine of two cores a third
    of a replication's time), and work is shared out by markets.
    """
    gc.set_threshold(100_000, 20, 100)
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # read once, when NumPy is first imported
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    try:
        from liqbt.cli import main as command_line

        command_line()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; nothing half-written was kept\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
