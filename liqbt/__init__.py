"""liqbt: backtest and research liquidation levels in crypto derivatives.

Historical liquidation events and open-interest snapshots are replayed in order through an
estimator, giving point-in-time cluster forecasts; an evaluation scores them against later price
visits, beside what no information would have scored.

The public names are below; everything is imported when it is first used.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from liqbt.kernel_cache import watch_for_numba

if "numpy" not in sys.modules:
    # the same bytes on every x86 processor with AVX2: NumPy's exp and log for AVX-512 differ in the
    # last bit from the others, and a simulated market with them; OpenBLAS picks its kernels by the
    # processor, and sums in another order with each; what is set already would be other bytes
    os.environ["NPY_DISABLE_CPU_FEATURES"] = "X86_V4 AVX512_ICL AVX512_SPR"
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="ascii") as cpu:  # noqa: PTH123
        if " avx2 " in cpu.read(4096):
            os.environ["OPENBLAS_CORETYPE"] = "Haswell"

if TYPE_CHECKING:
    from liqbt.answers import Answer as Answer
    from liqbt.answers import compare as compare
    from liqbt.answers import forward_init as forward_init
    from liqbt.answers import forward_report as forward_report
    from liqbt.answers import forward_step as forward_step
    from liqbt.answers import ingest as ingest
    from liqbt.answers import leaks as leaks
    from liqbt.answers import plane as plane
    from liqbt.answers import quality as quality
    from liqbt.answers import randomise as randomise
    from liqbt.answers import register as register
    from liqbt.answers import report as report
    from liqbt.answers import reproduce as reproduce
    from liqbt.answers import score as score
    from liqbt.answers import search as search
    from liqbt.answers import truth as truth
    from liqbt.answers import unseal as unseal
    from liqbt.api import Result as Result
    from liqbt.api import check as check
    from liqbt.api import line as line
    from liqbt.api import load as load
    from liqbt.api import run as run
    from liqbt.audit.lookahead import lookahead as lookahead
    from liqbt.errors import LiqbtError as LiqbtError
    from liqbt.plausibility.leaks import LeakProfile as LeakProfile
    from liqbt.plausibility.leaks import leak_profile as leak_profile
    from liqbt.replay import Estimator as Estimator
    from liqbt.simulate.market import simulate as simulate
    from liqbt.simulate.world import World as World
    from liqbt.study.events import open_log as open_log
    from liqbt.study.ingest import ingest_files as ingest_files
    from liqbt.study.run import run_experiment as run_experiment
    from liqbt.study.schema import load_experiment as load_experiment
    from liqbt.study.store import Run as Run
    from liqbt.study.store import load_run as load_run
    from liqbt.types import Cluster as Cluster
    from liqbt.types import Forecast as Forecast
    from liqbt.types import Instrument as Instrument
    from liqbt.types import Kind as Kind
    from liqbt.types import Score as Score

_HOME = {
    "Answer": "answers",
    "Cluster": "types",
    "Estimator": "replay",
    "Forecast": "types",
    "Instrument": "types",
    "Kind": "types",
    "LeakProfile": "plausibility.leaks",
    "LiqbtError": "errors",
    "Result": "api",
    "Run": "study.store",
    "Score": "types",
    "World": "simulate.world",
    "check": "api",
    "compare": "answers",
    "forward_init": "answers",
    "forward_report": "answers",
    "forward_step": "answers",
    "ingest": "answers",
    "ingest_files": "study.ingest",
    "leak_profile": "plausibility.leaks",
    "leaks": "answers",
    "line": "api",
    "load": "api",
    "load_experiment": "study.schema",
    "load_run": "study.store",
    "lookahead": "audit.lookahead",
    "open_log": "study.events",
    "plane": "answers",
    "quality": "answers",
    "randomise": "answers",
    "register": "answers",
    "report": "answers",
    "reproduce": "answers",
    "run": "api",
    "run_experiment": "study.run",
    "score": "answers",
    "search": "answers",
    "simulate": "simulate.market",
    "truth": "answers",
    "unseal": "answers",
}

__all__ = [
    "Answer",
    "Cluster",
    "Estimator",
    "Forecast",
    "Instrument",
    "Kind",
    "LeakProfile",
    "LiqbtError",
    "Result",
    "Run",
    "Score",
    "World",
    "check",
    "compare",
    "forward_init",
    "forward_report",
    "forward_step",
    "ingest",
    "ingest_files",
    "leak_profile",
    "leaks",
    "line",
    "load",
    "load_experiment",
    "load_run",
    "lookahead",
    "open_log",
    "plane",
    "quality",
    "randomise",
    "register",
    "report",
    "reproduce",
    "run",
    "run_experiment",
    "score",
    "search",
    "simulate",
    "truth",
    "unseal",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("liqbt")
    if name not in _HOME:
        raise AttributeError(f"module 'liqbt' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"liqbt.{_HOME[name]}"), name)
    return globals().setdefault(name, value)


class _Facade(ModuleType):
    """The package itself: a room that is called as a public function is, calls that function.

    Python binds a submodule to its package's name when it is first imported: `liqbt.simulate` is
    the room or the function, by the order of imports. Either can be called.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and name in _HOME:
            value.__class__ = _Room
        super().__setattr__(name, value)


class _Room(ModuleType):
    """A room with the name of a public function."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Call the function."""
        name = self.__name__.rpartition(".")[2]
        home = importlib.import_module(f"liqbt.{_HOME[name]}")
        return getattr(home, name)(*arguments, **options)


sys.modules[__name__].__class__ = _Facade


watch_for_numba()
