# Ropeway's commands. `make help` lists them; each sets up first what it needs, and setting up twice costs nothing.
.DEFAULT_GOAL := help
.PHONY: help setup demo down test test-long test-executors test-conformance test-browser screenshots lint format bench docs wheels

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Make .venv and install everything (PYTHON=… to choose the interpreter)
	@PYTHON="$(PYTHON)" deploy/development/setup.sh

demo: setup ## Start everything here and watch one task travel (KEEP=1 leaves it running, REPO=path, EXECUTOR=codex)
	@$(BIN)/python -m deploy.demo $(if $(KEEP),--keep) $(if $(REPO),--repository "$(REPO)") $(if $(EXECUTOR),--executor "$(EXECUTOR)")

down: setup ## Stop what `make demo KEEP=1` left running, and the development database
	@$(BIN)/python -m deploy.demo --down
	@$(BIN)/python -m cloud.config.embedded_postgres stop --data .var/postgres

test: setup lint ## Check imports, style and types, then run the test suite (ARGS=… for pytest)
	@$(PYTEST) $(ARGS)

test-long: setup ## Run what takes longer than continuous integration should
	@$(PYTEST) -m long -o faulthandler_timeout=900 $(ARGS)

test-executors: setup ## Install codex, claude, gemini, opencode and qwen (1.4 GB) and drive each for real
	@tests/executors/install.sh
	@$(BIN)/python -m pytest -m executors tests/executors -o faulthandler_timeout=300 $(ARGS)

test-conformance: setup ## Install the official MCP conformance suite (330 MB) and hold the MCP surface to it
	@tests/conformance/install.sh
	@$(BIN)/python -m pytest -m conformance tests/integration/cloud/relay $(ARGS)

# Its first test starts a whole Ropeway and a browser, which a busy machine takes longer for than any test may else.
test-browser: setup ## Drive the admin in a real Chromium (ROPEWAY_CHROMIUM=path where it is not found)
	@$(BIN)/python -m pytest -m browser -o faulthandler_timeout=600 tests/browser $(ARGS)

screenshots: setup ## Make the pictures of docs/admins.md anew, in a real Chromium
	@$(BIN)/python -m tests.browser.screenshots docs/images

# The type checker imports the settings, which would start a database server that it has no use for.
lint: setup ## Check imports, style and types only
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo "Some files are not formatted: run make format"; exit 1; }
	@DATABASE_URL=postgresql:///unused $(BIN)/python -m mypy

format: setup ## Rewrite the code in the house's layout
	@$(BIN)/ruff check --fix --quiet --exit-zero .
	@$(BIN)/ruff format .

bench: setup ## Measure, each figure beside its floor (OUT=file.json to keep them)
	@$(BIN)/python -m benchmarks $(if $(OUT),--out "$(OUT)")

docs: setup ## Write docs/reference.md, docs/reference/ and docs/openapi.json from what the code says
	@$(BIN)/python -m deploy.development.reference_page
	@$(BIN)/python -m deploy.development.openapi_document
	@$(BIN)/python -m deploy.development.command_pages

wheels: setup ## Build the three packages into dist/
	@$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist . ./local_daemon ./connector_agent
	@ls dist/*.whl
