# These commands need only Python 3.11 or newer, git and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PATHS := src tests docs bench web

.DEFAULT_GOAL := help
.PHONY: help demo page test test-latest test-inference chaos check web lock docs reference suites bench clean

help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
LOCKED := $(PIP) --require-hashes -r

# Every version comes from requirements/*.txt, with its hash; `make lock` updates them.
$(VENV)/.installed-base: requirements/base.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; choose one with: make PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(LOCKED) requirements/base.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed: requirements/dev.txt $(VENV)/.installed-base
	$(LOCKED) requirements/dev.txt
	@touch $@

$(VENV)/.installed-docs: requirements/docs.txt $(VENV)/.installed
	$(LOCKED) requirements/docs.txt
	@touch $@

$(VENV)/.installed-bench: requirements/bench.txt $(VENV)/.installed
	$(LOCKED) requirements/bench.txt
	@touch $@

# Not locked: which build of torch fits depends on the machine.
$(VENV)/.installed-inference: $(VENV)/.installed
	$(PIP) --group inference
	@touch $@

demo: $(VENV)/.installed-base ## Run two examples, one of them with recorded answers of models, and show their reports
	@$(BIN)/orchestrator run examples/quickstart.yaml
	@echo
	@cat examples/output/report.md
	@printf '\nThe next pipeline asks models. Their answers are played from a recording, so it needs no key:\n\n'
	@$(BIN)/orchestrator run examples/research.yaml --replay examples/recordings/research
	@$(BIN)/orchestrator report last --html > examples/output/research.html
	@printf '\nThe report that it wrote:                 examples/output/research.md\n'
	@echo "The run with graph, timeline and cost:    examples/output/research.html"
	@echo "Both runs in a browser:                   make page"
	@echo "With your own keys, models answer (it costs about a cent):"
	@echo "    $(BIN)/orchestrator keys set openai && $(BIN)/orchestrator keys set anthropic"
	@echo "    $(BIN)/orchestrator run examples/research.yaml"

page: $(VENV)/.installed ## Serve the examples and their runs, and open the page in a browser
	$(BIN)/orchestrator serve --pipelines examples --open

test: $(VENV)/.installed ## Run the whole test suite
	$(BIN)/python -m pytest -n auto

test-latest: ## Run the test suite on the newest versions that pyproject.toml allows; not part of CI
	rm -rf .venv-latest
	$(PYTHON) -m venv .venv-latest
	.venv-latest/bin/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	.venv-latest/bin/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	.venv-latest/bin/python -m pytest -n auto

# Once the server is built, `make test` runs these tests too.
test-inference: $(VENV)/.installed-inference ## Test against a real inference engine, which is built first if necessary
	$(BIN)/python -m tests.inference.build_server
	$(BIN)/python -m pytest tests/inference -rs

KILLS := 1000
chaos: $(VENV)/.installed ## Kill workers at random while they execute runs, KILLS times; STORE=URL names another store
	$(BIN)/python -m tests.workers.chaos --kills $(KILLS) $(if $(STORE),--store $(STORE))

check: $(VENV)/.installed ## Check format, lint, types, import order and generated pages
	$(BIN)/ruff format --check $(wildcard $(PATHS))
	$(BIN)/ruff check $(wildcard $(PATHS))
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check
	$(BIN)/python web/digest.py

NPM := npm --prefix web

web/node_modules/.installed: web/package.json web/package-lock.json
	$(NPM) ci --no-fund --no-audit
	@touch $@

web: web/node_modules/.installed ## Build the web page from web/; needs Node.js 20.19 or newer, which nothing else does
	$(NPM) run --silent types
	$(NPM) run --silent check
	$(NPM) run --silent build
	$(PYTHON) web/digest.py --write

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--upgrade --custom-compile-command "make lock" pyproject.toml

lock: $(VENV)/.installed ## Update the locked versions in requirements/
	$(LOCK) --group dev --output-file requirements/dev.txt
	$(LOCK) --group build --constraint requirements/dev.txt --output-file requirements/base.txt
	$(LOCK) --group docs --constraint requirements/dev.txt --output-file requirements/docs.txt
	$(LOCK) --group bench --constraint requirements/dev.txt --output-file requirements/bench.txt

reference: $(VENV)/.installed ## Update the generated pages
	$(BIN)/python docs/generate.py

docs: $(VENV)/.installed-docs reference ## Build the documentation site into site/
	$(BIN)/mkdocs build --quiet --strict

suites: $(VENV)/.installed ## Run the official JSON Schema test suite, which is downloaded
	$(BIN)/python bench/json_schema.py

bench: $(VENV)/.installed-bench ## Run the benchmarks
	$(BIN)/python bench/run.py

clean: ## Remove everything that these commands created
	rm -rf $(VENV) .venv-latest web/node_modules site build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache \
		examples/output .orchestrator
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
