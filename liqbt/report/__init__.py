"""Run → tables, figures, pages: `page.write_report` and `line.line`.

The report reads a finished run and computes no score. Drawing is imported only by `page`, so that
the line alone stays light.
"""
