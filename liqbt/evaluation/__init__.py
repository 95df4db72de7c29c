"""Outcomes, nulls, scores, inference and claims: pure functions on arrays."""

from liqbt.evaluation.cascades import Cascades, cascade_source, market_cascades
from liqbt.evaluation.claims import (
    CLAIMS,
    REGISTER,
    Claim,
    ClaimStatus,
    describe_claims,
    verdict,
    verdicts,
)
from liqbt.evaluation.config import EvaluationConfig, MarketInput, horizon_name
from liqbt.evaluation.covariates import COVARIATES, LANDMARK_DTYPE
from liqbt.evaluation.direction import landmark_tables, with_direction
from liqbt.evaluation.evaluate import (
    Evaluation,
    FlowRow,
    LandmarkRow,
    Observed,
    evaluate,
    observe,
    score,
)
from liqbt.evaluation.first_side import FIRST_SIDE_DTYPE
from liqbt.evaluation.funding import market_funding
from liqbt.evaluation.learnt import learnt_probabilities, with_learnt
from liqbt.evaluation.outcomes import OUTCOME_DTYPE
from liqbt.evaluation.path import Censor, PricePath, price_path
from liqbt.evaluation.response import BESIDE_NS, anchors_of, landmark_times
from liqbt.evaluation.scores import POOLED, BandRow, ScoreDetail, stated_scores

__all__ = [
    "BESIDE_NS",
    "CLAIMS",
    "COVARIATES",
    "FIRST_SIDE_DTYPE",
    "LANDMARK_DTYPE",
    "OUTCOME_DTYPE",
    "POOLED",
    "REGISTER",
    "BandRow",
    "Cascades",
    "Censor",
    "Claim",
    "ClaimStatus",
    "Evaluation",
    "EvaluationConfig",
    "FlowRow",
    "LandmarkRow",
    "MarketInput",
    "Observed",
    "PricePath",
    "ScoreDetail",
    "anchors_of",
    "cascade_source",
    "describe_claims",
    "evaluate",
    "horizon_name",
    "landmark_tables",
    "landmark_times",
    "learnt_probabilities",
    "market_cascades",
    "market_funding",
    "observe",
    "price_path",
    "score",
    "stated_scores",
    "verdict",
    "verdicts",
    "with_direction",
    "with_learnt",
]
