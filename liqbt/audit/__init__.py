"""Audits: properties of any configured estimator, held against it by trying to break them.

- `lookahead`: what was not yet known is replaced by garbage;
- `chunks`: the same events in other pieces, on other schedules, in other processes;
- `order`: the same records read from the disk in another order;
- `ties`: records of one instant in another order;
- `checkpoint`: a replay stopped and resumed.

Each has a function on one market, which takes whatever replays it, and one on an experiment's file
(`audit_...`), which audits the user's own estimator as well as those that are built in.
"""

from __future__ import annotations

from liqbt.audit.audits import (
    AUDITS,
    audit_checkpoint,
    audit_chunks,
    audit_lookahead,
    audit_order,
    audit_ties,
)
from liqbt.audit.checkpoint import checkpoints
from liqbt.audit.chunks import chunks
from liqbt.audit.lookahead import lookahead, poisoned
from liqbt.audit.order import order
from liqbt.audit.subject import Subject
from liqbt.audit.ties import ties
from liqbt.audit.values import AuditResult, Difference
from liqbt.audit.words import AuditReport

__all__ = [
    "AUDITS",
    "AuditReport",
    "AuditResult",
    "Difference",
    "Subject",
    "audit_checkpoint",
    "audit_chunks",
    "audit_lookahead",
    "audit_order",
    "audit_ties",
    "checkpoints",
    "chunks",
    "lookahead",
    "order",
    "poisoned",
    "ties",
]
