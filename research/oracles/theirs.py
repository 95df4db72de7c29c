"""The other side of `compare.py`: cases on standard input, answers on standard output.

Run by the Python of an environment that has lifelines and pyCSEP; it imports nothing of liqbt.
"""

import json
import sys
import warnings
from importlib.metadata import version
from types import SimpleNamespace

import matplotlib

matplotlib.use("Agg")
warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402


def incidence(case):
    """Return Aalen and Johansen's estimate, by lifelines, at the times asked for."""
    from lifelines import AalenJohansenFitter

    fit = AalenJohansenFitter(calculate_variance=False, seed=0)
    fit.fit(case["time"], case["cause"], event_of_interest=case["which"])
    steps = fit.cumulative_density_.iloc[:, 0]
    at = np.searchsorted(steps.index.to_numpy(), np.array(case["at"]) + case["after"], "right") - 1
    return steps.to_numpy()[at].tolist()


def restricted_mean(case):
    """Return the mean time to the event up to a limit, by lifelines (Kaplan and Meier)."""
    from lifelines import KaplanMeierFitter
    from lifelines.utils import restricted_mean_survival_time

    fit = KaplanMeierFitter().fit(case["time"], np.array(case["cause"]) == case["which"])
    return [float(restricted_mean_survival_time(fit, t=case["until"]))]


def gain(case):
    """Return the information gain per event with its standard error, by pyCSEP's paired T test."""
    from csep.core.poisson_evaluations import _t_test_ndarray

    rates = (np.array(case[name]) for name in ("rate_a", "rate_b"))
    n = len(case["rate_a"])
    found = _t_test_ndarray(*rates, n, case["total_a"], case["total_b"])
    half = 0.5 * (found["ig_upper"] - found["ig_lower"])
    return [float(found["information_gain"]), float(half / found["t_critical"])]


def _diagram(draw, case):
    """Return the curve that one of pyCSEP's diagrams draws of rates and counts by cell."""
    region = "one"
    forecast = SimpleNamespace(
        name="", region=region, spatial_counts=lambda: np.array(case["score"])
    )
    catalog = SimpleNamespace(region=region, spatial_counts=lambda: np.array(case["events"]))
    axes = draw(forecast, catalog, savepdf=False, savepng=False, show=False)
    return axes.lines[0].get_xydata()


def molchan(case):
    """Return the share of cells on alarm and of events missed, by pyCSEP's Molchan diagram."""
    from csep.utils.plots import plot_Molchan_diagram

    return _diagram(plot_Molchan_diagram, case).ravel().tolist()


def roc(case):
    """Return false alarm and hit rate, by pyCSEP's ROC diagram."""
    from csep.utils.plots import plot_ROC_diagram

    return _diagram(plot_ROC_diagram, case).ravel().tolist()


ASKED = {f.__name__: f for f in (incidence, restricted_mean, gain, molchan, roc)}

if __name__ == "__main__":
    answers = {name: ASKED[case["ask"]](case) for name, case in json.load(sys.stdin).items()}
    found = {name: version(name) for name in ("lifelines", "pycsep")}
    sys.stdout.write(json.dumps({"versions": found, "answers": answers}))
