# Everything a fresh machine needs: Python 3.11+ and make.
#   make demo    set up, run the main job on the embedded simulated market, end with a report
#   make test    set up, run every test (those that need real data skip where LIQBT_DATA is absent)
#   make check   format, lint, types, layers, and what the decisions show
#   make gate    run the experiments and hold their scores against results/baselines/
#   make baselines REASON='...'   accept today's scores as the baselines, saying why
#   make site    the documentation, built from the code into build/site
#   make bench   speed, as ratios to a reference in the same process
#   make soak    faults, kills and fuzz: what was tried and what was lost (hours; SHARE=0.01: minutes)
#   make nightly tests of the tests on markets that nobody has seen, other libraries, faults and fuzz
#   make quick   the tests without the statistical and end-to-end ones
#   make lock    pin the dependencies anew
#   make vendor  the explorer's drawing library as npm published it (VENDORED.json says which)
#   make clean   remove everything that can be made again

# two workers whose linear algebra waits for each other's threads are slower than one thread each
export OPENBLAS_NUM_THREADS ?= 1
# NumPy's exp and log for AVX-512 differ in the last bit: the same bytes on every x86 processor
export NPY_DISABLE_CPU_FEATURES ?= X86_V4 AVX512_ICL AVX512_SPR
# and so are sums by OpenBLAS, which chooses its kernels by the processor
ifneq (,$(shell grep -m1 -o avx2 /proc/cpuinfo 2>/dev/null))
export OPENBLAS_CORETYPE ?= Haswell
endif

# an image that forbids byte code would have every program compile all that it imports
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
CORE   := $(VENV)/.core
READY  := $(VENV)/.ready
# modules are compiled when they are first imported: most of what is installed never is
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile

.PHONY: demo compiled test quick check lint types layers docs bench lock clean setup gate baselines soak nightly vendor site
.DEFAULT_GOAL := test

setup: $(READY)

# what liqbt itself needs; the extras, and what develops it, come on top of it when they are asked for
$(CORE): requirements-core.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "liqbt needs Python 3.11 or newer; this is " + sys.version.split()[0] + " (say: make PYTHON=python3.12)")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes -r requirements-core.lock
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(READY): $(CORE) requirements.lock
	$(PIP) --require-hashes -r requirements.lock
	@touch $@

demo: $(CORE)
	$(BIN)/liqbt demo

# each worker would compile every kernel that it needs: two processes share them out
compiled: $(CORE)
	@$(BIN)/python -m liqbt.study.compiling

test: $(READY) compiled
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests

quick: $(READY) compiled
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow" tests

# two at a time; docs: what docstrings and decisions show
check: $(READY)
	@$(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j 2) types docs layers lint

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

layers: $(READY)
	$(BIN)/lint-imports --config .importlinter.toml

docs: $(READY)
	$(BIN)/python -m pytest -q -p no:randomly --doctest-glob='*.md' liqbt research/decisions

site: $(READY)
	$(BIN)/python research/docs/build.py

REAL := btc-2025-12 eth-2025-12 hyperliquid-2025 panel-2025-12

gate: compiled
	$(BIN)/liqbt check experiments/demo.yaml --baseline results/baselines/demo.json
	@if [ -d "$${LIQBT_DATA:-../shared/data}" ]; then printf '%s\n' $(REAL) | xargs -P 2 -I NAME \
	    $(BIN)/liqbt check experiments/NAME.yaml --baseline results/baselines/NAME.json; \
	  else echo "no real data: set LIQBT_DATA to hold $(REAL) too"; fi

baselines: $(READY)
	@test -n "$(REASON)" || { echo "say why: make baselines REASON='...'"; exit 2; }
	@names=demo; [ ! -d "$${LIQBT_DATA:-../shared/data}" ] || names="demo $(REAL)"; for name in $$names; do \
	    $(BIN)/liqbt baseline update experiments/$$name.yaml --baseline results/baselines/$$name.json \
	      --reason "$(REASON)" || exit $$?; done

bench: $(READY)
	$(BIN)/liqbt bench

# about three hours on one idle core: 100,000 mutated inputs a reader take half of them
SHARE ?= 1
soak: $(READY)
	cd tests && ../$(BIN)/python -m soak --share $(SHARE)

# the released claims' tests where they are false and where true, in markets of the night's own seed
MINUTES ?= 60
SEED ?= $(shell date -u +%Y%m%d)
nightly: $(READY) compiled
	$(BIN)/liqbt validate --pinned
	mkdir -p build && $(BIN)/liqbt validate --claims magnet,direction,chain,accuracy_85 --days 120 \
	  --executor processes --minutes $(MINUTES) --seed $(SEED) --out build/nightly-$(SEED)
	$(PYTHON) -m venv build/elsewhere && build/elsewhere/bin/pip install -q lifelines pycsep
	$(BIN)/python -m research.oracles.compare build/elsewhere/bin/python
	$(BIN)/python -m pytest -n 2 --dist loadfile -m nightly tests
	cd tests && ../$(BIN)/python -m soak --share 0.02

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
lock: $(READY)
	$(PIP) uv
	$(COMPILE) --all-extras --output-file requirements.lock pyproject.toml
	echo setuptools | $(COMPILE) --constraint requirements.lock --output-file requirements-core.lock pyproject.toml -

VENDORED := liqbt/report/pages/vendor/uplot
said = $$(sed -n 's/^ "$(1)": "\(.*\)",$$/\1/p' VENDORED.json)
vendor:
	cd $(VENDORED) && file=$$(npm pack --silent $(call said,name)@$(call said,version)) \
	  && test "$(call said,integrity)" = "sha512-$$(openssl dgst -sha512 -binary $$file | base64 -w0)" \
	  && tar -xzf $$file --strip-components=1 package/LICENSE \
	  && tar -xzf $$file --strip-components=2 package/dist/uPlot.iife.min.js package/dist/uPlot.min.css \
	  && rm $$file

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find results -mindepth 1 -maxdepth 1 ! -name baselines ! -name validity ! -name README.md -exec rm -rf {} +
