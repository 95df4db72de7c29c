"""`python -m liqbt` is `liqbt`."""

from liqbt.cli import main

main()
