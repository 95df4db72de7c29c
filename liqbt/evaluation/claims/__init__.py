"""Claims as data, and the rule that turns a score into a verdict."""

from __future__ import annotations

from liqbt.evaluation.claims.describe import describe_claims
from liqbt.evaluation.claims.register import CLAIMS, REGISTER, Claim, ClaimStatus
from liqbt.evaluation.claims.verdict import find_score, power_at, verdict, verdicts

__all__ = [
    "CLAIMS",
    "REGISTER",
    "Claim",
    "ClaimStatus",
    "describe_claims",
    "find_score",
    "power_at",
    "verdict",
    "verdicts",
]
