# Two commands: `make run` (the whole loop, from drift to verified recovery) and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv --quiet
ARGS ?=

.PHONY: run up down test check bench lock histories clean

$(VENV)/.installed: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit("driftloop needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@echo "installing into $(VENV) (about 30 s the first time)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(UV) pip sync --compile-bytecode --require-hashes requirements.lock
	@$(UV) pip install --no-deps --no-build-isolation --editable .
	@touch $@

run: $(VENV)/.installed  ## Drift, a bad canary caught, a good one promoted, recovery verified: on the embedded stack
	@$(BIN)/driftloop run $(ARGS)

up: $(VENV)/.installed  ## Start the embedded stack and keep it up
	@$(BIN)/driftloop up $(ARGS)

down: $(VENV)/.installed  ## Stop it; `make up` continues where it was
	@$(BIN)/driftloop down

test: $(VENV)/.installed  ## All tests
	@$(BIN)/pytest $(ARGS)

check: $(VENV)/.installed  ## Static checks
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

bench: $(VENV)/.installed  ## Performance figures
	@$(BIN)/python -m bench $(ARGS)

lock: $(VENV)/.installed  ## Pin dependencies anew, with hashes
	@$(UV) pip compile pyproject.toml --extra dev --universal --generate-hashes --no-header --upgrade -o requirements.lock

histories: $(VENV)/.installed  ## Record the golden histories of this release
	@$(BIN)/python -m tests.histories.record $(ARGS)

clean:  ## Remove what running left behind
	rm -rf .driftloop .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
