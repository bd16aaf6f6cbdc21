PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= out/demo
REAL ?=
MASKS ?=

.PHONY: help setup demo test lint bench clean

help: ## show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.complete ## build .venv with everything the other targets need

$(VENV)/.complete: pyproject.toml constraints.txt scripts/setup.sh scripts/llvm.sh
	PYTHON=$(PYTHON) sh scripts/setup.sh $(VENV)
	touch $@

demo: setup ## author, generate, train, export, evaluate, report (REAL=DIR adds photographs, MASKS=DIR their masks)
	$(BIN)/regolith demo --out $(OUT) $(if $(REAL),--real $(REAL)) $(if $(MASKS),--masks $(MASKS))

test: setup lint ## lint, type-check and run the tests
	$(BIN)/python -m pytest -n 2

lint: setup ## format check, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

bench: setup ## render benchmark: every target as demanded, measured, ok
	$(BIN)/python benchmarks/bench_render.py --json out/bench_render.json

clean: ## remove what the targets made
	rm -rf out build .pytest_cache .ruff_cache .hypothesis
