# make run SOURCE=/a DESTINATION=/b   keep two directories in sync (without arguments: a playground)
# make test                           everything that must hold: linters, types, rooms, tests, coverage
# make check                          linters and types only
# make bench [FULL=1]                 figures against the peers that are installed, into docs/performance.md
# make docs                           generate the reference pages again
# make clean                          remove what was made here

SHELL := /bin/sh
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?=
ARGS ?=
export VENV
# mkfs and mount stand there; a bare environment may lack it.
export PATH := $(PATH):/usr/sbin:/sbin
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help run test check lint types bench docs lock clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

$(VENV)/.run: requirements/run.txt pyproject.toml scripts/setup-venv
	@sh scripts/setup-venv run
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml scripts/setup-venv
	@sh scripts/setup-venv dev
	@touch $@ $(VENV)/.run

run: $(VENV)/.run
ifeq ($(strip $(SOURCE)$(DESTINATION)),)
	@$(BIN)/python scripts/playground.py playground
	@exec $(BIN)/syncd sync playground/source playground/destination --watch --state-dir playground/state $(ARGS)
else
	@exec $(BIN)/syncd sync "$(SOURCE)" "$(DESTINATION)" --watch $(ARGS)
endif

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint types

test: check
	@sh scripts/debian-packages
	@rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest $(PYTEST_ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage json --quiet -o .coverage.json
	@$(BIN)/python scripts/coverage_gate.py .coverage.json

bench: $(VENV)/.run
	$(BIN)/python -m benchmarks $(if $(FULL),--full) $(ARGS)

docs: $(VENV)/.dev
	$(BIN)/python -m scripts.docs

# After a change of the dependencies in pyproject.toml; needs uv.
lock:
	uv lock --no-config --default-index https://pypi.org/simple
	uv export --frozen --no-config --quiet --no-emit-project --no-header --no-dev --group build -o requirements/run.txt
	uv export --frozen --no-config --quiet --no-emit-project --no-header --group build --group dev -o requirements/dev.txt

clean:
	rm -rf $(VENV) build dist playground .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
