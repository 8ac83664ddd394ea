# Everything here works from a fresh clone: the environment is built when it is missing, and again when its pins change.
#   make demo    render a video, watch it and answer two questions
#   make test    lint, types and every test
#   make check   lint, types and the quick tests
#   make corpus  watch every recording of the corpus and print the result
#   make nightly  a server among clients with everything that goes wrong, and the page's visitors, for 35 minutes
#   make fuzz    watch a thousand damaged files, a process each
#   make format  let ruff rewrite what it can
#   make train   train the embedded model from nothing (hours); resumes where it was stopped
#   make eval-env  build .venv-eval, which has lmms-eval, for `tempo eval`
#   make docs    build the documentation site into site/
#   make clean   remove what was built; `make distclean` removes the environment too

PYTHON ?= python3
VENV   ?= .venv
EVAL   ?= .venv-eval
SITE   ?= .venv-docs
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help demo train test check corpus nightly fuzz docs docs-env eval-env browser lint types format clean distclean

help:
	@sed -n 's/^#   //p' Makefile

# --- the environment -------------------------------------------------------------------------------------------------
# A stamp is newer than the pins it was installed from; a missing stamp, or a changed pin, installs again.

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "tempo needs Python 3.11, 3.12 or 3.13; name one: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.core: requirements.lock pyproject.toml src/tempo/version.py $(VENV)/.made
	$(PIP) install -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

# lmms-eval has one of its own, because it pins what others want newer.
$(EVAL)/.made: requirements.lock requirements-eval.lock pyproject.toml src/tempo/version.py
	$(PYTHON) -m venv $(EVAL)
	$(EVAL)/bin/python -m pip --disable-pip-version-check --quiet install -r requirements.lock
	$(EVAL)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps -r requirements-eval.lock
	$(EVAL)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.core
	$(PIP) install -r requirements-dev.lock
	@touch $@

$(SITE)/.made: requirements-docs.lock
	$(PYTHON) -m venv $(SITE)
	$(SITE)/bin/python -m pip --disable-pip-version-check --quiet install -r requirements-docs.lock
	@touch $@

# The tests of the page run in Chromium. It is installed where root runs make on Debian, as in CI; nobody else's
# system is touched.
browser:
	@has() { command -v "$$1" >/dev/null; }; \
	if has chromium || has chromium-browser || has google-chrome; then :; \
	elif [ "$$(id -u)" = 0 ] && has apt-get; then \
	  echo "installing Chromium for the tests of the page"; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  { timeout 180 apt-get -qq update \
	    && timeout 900 apt-get -qq install -y --no-install-recommends chromium fonts-dejavu-core; } >/dev/null \
	    || echo "Chromium cannot be installed: the tests of the page are skipped"; \
	else echo "there is no Chromium: the tests of the page are skipped (apt-get install chromium)"; fi

# --- what one does with it -------------------------------------------------------------------------------------------

demo: $(VENV)/.core
	@$(BIN)/python demo/run.py

train: $(VENV)/.core
	$(BIN)/python -m research.nano.pipeline

eval-env: $(EVAL)/.made

docs-env: $(SITE)/.made

docs: docs-env
	NO_MKDOCS_2_WARNING=1 $(SITE)/bin/mkdocs build --strict

# Two halves side by side, then what compares times. Threads that wait must not spin, or the halves stall one another.
FIRST_HALF := $(addprefix tests/,benchmarking checkpoints docs evaluation fuzz inference media modeling networks reporting research synthetic training)

# Where the environment forbids compiled files, every process of the tests would compile what it imports.
test: $(VENV)/.dev
	@$(MAKE) --no-print-directory --jobs=2 lint types eval-env docs-env browser
	@export OMP_WAIT_POLICY=passive; unset PYTHONDONTWRITEBYTECODE; log=$(VENV)/first-half.log; \
	$(BIN)/python -m pytest -m "not alone" $(FIRST_HALF) >$$log 2>&1 & half=$$!; \
	$(BIN)/python -m pytest -m "not alone" $(addprefix --ignore=,$(FIRST_HALF)); status=$$?; \
	wait $$half || status=1; cat $$log; \
	$(BIN)/python -m pytest -m alone $$(grep -rl --include='test_*.py' mark.alone tests) || status=1; \
	exit $$status

check: lint types
	$(BIN)/python -m pytest -m "not slow"

corpus: $(VENV)/.dev
	$(BIN)/python -m tests.media

nightly: $(VENV)/.dev
	$(BIN)/python -m tests.serving.soak --minutes 5
	$(BIN)/python tests/soak.py --minutes 30

fuzz: $(VENV)/.dev
	$(BIN)/python -m tests.fuzz

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: $(VENV)/.dev
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf build dist site demo/out .import_linter_cache .pytest_cache .mypy_cache .ruff_cache
	find src tests demo docs -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV) $(EVAL) $(SITE)
