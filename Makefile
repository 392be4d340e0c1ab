# Nothing is needed before any of these but Python 3.11 or newer, git and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PATHS := src tests docs bench

.DEFAULT_GOAL := help
.PHONY: help demo test test-inference check docs reference bench clean

help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

# Made again when pyproject.toml changes; `pip` of older Pythons does not know dependency groups.
$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group docs
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group bench
	@touch $@

$(VENV)/.installed-inference: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group inference
	@touch $@

demo: $(VENV)/.installed ## Run the first pipeline of the README
	@$(BIN)/orchestrator run examples/quickstart.yaml
	@echo
	@cat examples/output/report.md

test: $(VENV)/.installed ## Run the whole test suite
	$(BIN)/python -m pytest -n auto

# Where the server was built once, `make test` runs these tests too.
test-inference: $(VENV)/.installed-inference ## Build a real inference engine, if need be, and test against it
	$(BIN)/python -m tests.inference.build_server
	$(BIN)/python -m pytest tests/inference -rs

check: $(VENV)/.installed ## Check format, lint, types, import order and generated pages
	$(BIN)/ruff format --check $(wildcard $(PATHS))
	$(BIN)/ruff check $(wildcard $(PATHS))
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check

reference: $(VENV)/.installed ## Write the generated pages anew
	$(BIN)/python docs/generate.py

docs: $(VENV)/.installed-docs reference ## Build the documentation site into site/
	$(BIN)/mkdocs build --quiet --strict

bench: $(VENV)/.installed-bench ## Measure against the floor and another engine
	$(BIN)/python bench/run.py

clean: ## Remove everything that these commands made
	rm -rf $(VENV) site build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache \
		examples/output .orchestrator
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
