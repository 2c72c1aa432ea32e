# Every target sets up what it needs; only python3 (>= 3.11), git and make must be there.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
OUT    ?= results/john2022
JOBS   ?= 2
# one thread a process: the suite runs processes side by side
export OMP_NUM_THREADS = 1
export OPENBLAS_NUM_THREADS = 1

.PHONY: help setup reproduce reproduce-kim test quick nojit lint check check-circuits validate docs gallery dist format clean

help:
	@echo "make reproduce   database -> KMC + FEM -> compact -> reservoir -> readouts; writes $(OUT)"
	@echo "make reproduce-kim   the synapses of Kim et al. 2019; writes results/kim2019"
	@echo "make test        all tests"
	@echo "make quick       tests that take under ten seconds each"
	@echo "make nojit       the kernels in plain Python beside the compiled ones; prints which ran"
	@echo "make check       ruff, format, mypy, import-linter, then make docs, dist and test: what CI runs"
	@echo "make check-circuits   the exported circuits in ngspice and through a Verilog-A compiler; installs both"
	@echo "make validate    slow comparison with the papers, slow pages of the docs"
	@echo "make docs        the site, build/docs/index.html; warnings and dead links are errors, no network needed to read it"
	@echo "make gallery     all pictures of the gallery, again (minutes)"
	@echo "make dist        wheel and source archive in dist, installed and tried outside of the repository"
	@echo "make clean       caches and build products (after an edit across compiled modules)"

# The link gives mypy and import-linter the package under its own name, whatever the folder of the clone is called.
$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "halidrift needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	mkdir -p $(VENV)/named && ln -sfn ../.. $(VENV)/named/halidrift
	touch $@

setup: $(VENV)/.ready

reproduce: setup
	$(BIN)/halidrift reproduce john2022 --out $(OUT)

reproduce-kim: setup
	$(BIN)/halidrift reproduce kim2019 --out results/kim2019

test: setup
	$(BIN)/python tests/compile.py
	$(BIN)/python -m pytest -n $(JOBS) --dist loadscope --no-loadscope-reorder --durations 15 -m "not validation"

quick: setup
	$(BIN)/python -m pytest -n $(JOBS) -m "not slow and not validation"

validate: setup
	$(BIN)/python -m pytest -m validation --durations 0

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd $(VENV)/named && ../bin/mypy --config-file ../../pyproject.toml -m halidrift -p halidrift.physics -p halidrift.kmc -p halidrift.fem -p halidrift.compact -p halidrift.pipeline
	cd $(VENV)/named && ../bin/lint-imports --config ../../pyproject.toml --no-cache

nojit: setup
	$(BIN)/python -m pytest tests/verification/test_kernels.py -s

# docs and archives take one core each; the tests then find the docs environment and check the reference too
check: lint
	$(MAKE) $(VENV)/.docs
	$(MAKE) -j 2 docs dist
	$(MAKE) test

# ngspice is no Python package: found, or installed from Debian's archive where that is allowed
check-circuits: setup
	@command -v ngspice >/dev/null || { \
	  echo "ngspice is not installed; trying apt-get"; \
	  if [ "$$(id -u)" = 0 ]; then SUDO=; else SUDO="sudo -n"; fi; \
	  $$SUDO apt-get install -y ngspice || { $$SUDO apt-get update && $$SUDO apt-get install -y ngspice; } || { \
	    echo "ngspice could not be installed: install it by hand (Debian, Ubuntu: ngspice; macOS: brew install ngspice)"; \
	    exit 1; }; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[circuits]' || \
	  echo "openvaf-py could not be installed: the Verilog-A tests skip"
	$(BIN)/python -m pytest tests/verification/test_compact_export.py tests/verification/test_circuits.py tests/unit/test_bench.py -m "not validation" --durations 5

$(VENV)/.docs: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	touch $@

docs: $(VENV)/.docs
	$(BIN)/python -m sphinx -W --keep-going -q -b html -d build/doctrees docs build/docs
	$(BIN)/python docs/extensions/offline.py build/docs
	$(BIN)/python docs/extensions/links.py build/docs

gallery: setup
	$(BIN)/python docs/extensions/gallery.py

dist: $(VENV)/.docs
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/python tests/install.py dist

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf build dist docs/generated *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
