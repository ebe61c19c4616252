# Two commands for a newcomer: `make demo` and `make test`. Both create .venv from the lock file first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-slow browser conformance check facts format lock clean bench simulate \
  scaling-study throttling-study planning-study

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

venv: $(VENV)/.stamp  ## create .venv from the lock file

$(VENV)/.stamp: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; this is $$($(PYTHON) -V). Try: make PYTHON=python3.13 ..."; exit 2; }
	@echo "creating $(VENV) from requirements.lock (about a minute the first time)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/pip install --quiet --require-hashes --requirement requirements.lock
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: venv  ## the main job: stack, load with duplicates and garbage, balanced ledger
	@$(BIN)/python -m loadgen.demo

test: venv  ## the test suite (about 5 minutes)
	$(BIN)/pytest -m "not slow"

test-slow: venv  ## what takes longer: faults over the wire, the real day, packaging
	$(BIN)/pytest -m slow --timeout 900

browser: venv  ## the pages in a headless Chromium: requests, widths, contrast, texts, names (SCREENSHOTS=dir keeps what it saw)
	REQUIRE_BROWSER=1 $(BIN)/pytest tests/browser --timeout 500

conformance: venv  ## the mapping's behaviour over the wire, here or on CONFORMANCE_TARGET (docs/conformance.md)
	$(BIN)/pytest tests/conformance --timeout 900

check: venv  ## lint, types, boundaries, docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

facts: venv  ## which facts about AWS are shown by tests, declared, missing (docs/aws-behaviour.md)
	@$(BIN)/python -m tests.support.fact_coverage

format: venv  ## apply the formatter and the safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

simulate: venv  ## 10,000 small worlds in virtual time, every fault, on all cores (SEEDS=n, SEED=first)
	$(BIN)/infra simulate --vary --seed $(or $(SEED),1) --seeds $(or $(SEEDS),10000) --events 200 --processes $$(getconf _NPROCESSORS_ONLN)

scaling-study: venv  ## docs/scaling-study.md measured anew, with its plots (half an hour; nothing else should run)
	$(BIN)/python -m loadgen.scaling_study --into docs/scaling-study.md

throttling-study: venv  ## docs/throttling-study.md measured anew: four limits driven into throttling (3 minutes)
	$(BIN)/python -m loadgen.throttle_study --into docs/throttling-study.md

planning-study: venv  ## docs/planning.md: what infra plan predicts against what is measured (20 minutes; nothing else should run)
	$(BIN)/python -m benchmarks.planning

bench: venv  ## every benchmark but the studies, each against its reference in one run
	@for file in $(filter-out benchmarks/planning.py,$(wildcard benchmarks/[a-z]*.py)); do name=$$(basename $$file .py); echo "== benchmarks.$$name"; \
	  $(BIN)/python -m benchmarks.$$name || exit 1; done

include infra/package.mk

lock:  ## resolve pyproject.toml again into requirements.lock (needs uv)
	uv pip compile --universal --python-version 3.11 --all-extras --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --custom-compile-command "make lock" --quiet pyproject.toml -o requirements.lock
	$(PYTHON) -m infra.packaging

clean:  ## remove everything that can be made again
	rm -rf $(VENV) .tools .aws-sam .mypy_cache .ruff_cache .pytest_cache .hypothesis build out benchmarks/out *.egg-info
