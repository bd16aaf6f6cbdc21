PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VENV_KIT := .venv-kit
VENV_ISAAC := .venv-isaac
ISAAC_ROOMS := params stage randomize dataset perception quality panel render
PYTHON311 ?= $(shell for p in python3.11 "$$(pyenv prefix 3.11 2>/dev/null)/bin/python3.11"; do "$$p" -c '' 2>/dev/null && command -v "$$p" && break; done)
PYTHON312 ?= $(shell for p in python3.12 "$$(pyenv prefix 3.12 2>/dev/null)/bin/python3.12"; do "$$p" -c '' 2>/dev/null && command -v "$$p" && break; done)
OUT ?= out/demo
WORKSPACE ?= workspace
REAL ?=
MASKS ?=
unexport PYTHONDONTWRITEBYTECODE # tests start hundreds of processes, which would all compile the sources again

.PHONY: help setup demo studio test pythons test-kit test-isaac lint docs lock sbom bench clean

help: ## show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.complete ## build .venv with everything the other targets need (LOCKED=1: the releases of requirements.lock)

$(VENV)/.complete: pyproject.toml constraints.txt scripts/setup.sh scripts/readers.lock scripts/llvm.sh scripts/chromium.sh
	PYTHON=$(PYTHON) LOCKED=$(LOCKED) sh scripts/setup.sh $(VENV)
	touch $@

demo: setup ## author, generate, train, export, evaluate, report (REAL=DIR adds photographs, MASKS=DIR their masks)
	$(BIN)/regolith demo --out $(OUT) $(if $(REAL),--real "$(REAL)") $(if $(MASKS),--masks "$(MASKS)")

studio: setup ## the panel in a browser, on this machine (WORKSPACE=DIR; more with ARGS="--port 9000 …")
	$(BIN)/regolith studio --workspace "$(WORKSPACE)" $(ARGS)

test: setup lint ## lint, type-check and run the tests
	$(BIN)/python -m pytest -n 4 --dist loadfile

pythons: setup ## fetch what the wheel's tests need on Python 3.12 and 3.13, where those are here
	sh scripts/pythons.sh $(VENV) 3.12 3.13

test-isaac: $(VENV_ISAAC)/.complete ## run the rooms Kit imports on the packages of Isaac Sim 5.1 (Python 3.11)
	PYTHONPATH=tests $(VENV_ISAAC)/bin/python -m pytest -p isaac_leg -n 2 --dist loadfile $(ISAAC_ROOMS:%=tests/%)

$(VENV_ISAAC)/.complete: tests/kit/requirements-isaac.txt
	@test -x "$(PYTHON311)" || { echo "test-isaac: needs Python 3.11 (PYTHON311=/path/to/python3.11)" >&2; exit 1; }
	"$(PYTHON311)" -m venv $(VENV_ISAAC)
	$(VENV_ISAAC)/bin/python -m pip install --quiet --upgrade pip
	$(VENV_ISAAC)/bin/python -m pip install --quiet -r tests/kit/requirements-isaac.txt
	printf '%s\n' "$(CURDIR)/exts/regolith.lunar" "$(CURDIR)" >"$$($(VENV_ISAAC)/bin/python -c 'import site; print(site.getsitepackages()[0])')/regolith.pth"
	PYTHONPATH=exts/regolith.lunar sh scripts/llvm.sh $(VENV_ISAAC)
	touch $@

test-kit: test-isaac $(VENV_KIT)/.complete ## run the extension on the real Kit kernel (Python 3.12; asks for OMNI_KIT_ACCEPT_EULA=YES)
	cd tests/kit && ../../$(VENV_KIT)/bin/python -m pytest -rs -c ../../pyproject.toml --rootdir . --confcutdir . .

$(VENV_KIT)/.complete: tests/kit/requirements.txt
	@test -x "$(PYTHON312)" || { echo "test-kit: needs Python 3.12 (PYTHON312=/path/to/python3.12)" >&2; exit 1; }
	sh scripts/vulkan.sh
	"$(PYTHON312)" -m venv $(VENV_KIT)
	$(VENV_KIT)/bin/python -m pip install --quiet --upgrade pip
	$(VENV_KIT)/bin/python -m pip install --quiet -r tests/kit/requirements.txt
	PYTHONPATH=exts/regolith.lunar sh scripts/llvm.sh $(VENV_KIT)
	$(VENV_KIT)/bin/python -m pip install --quiet --no-deps --target $(VENV_KIT)/isaac \
	  $(foreach part,core gui replicator app test,isaacsim-$(part)==6.2.0.0) \
	  || echo "test-kit: without Isaac Sim's wheels (118 MB) the tests against NVIDIA's own sources are skipped" >&2
	touch $@

lint: setup ## format check, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

docs: setup ## the site of docs/ in build/docs, strictly: a broken link or a name that is gone fails
	$(BIN)/python -m sphinx -b html -q -W --keep-going docs build/docs

lock: setup ## pin what .venv holds in requirements.lock, with hashes
	sh scripts/lock.sh $(VENV)

sbom: setup ## what .venv holds, in build/sbom.cdx.json (CycloneDX 1.6)
	$(BIN)/python -m venv build/cyclonedx  # apart: with what it brings, jsonschema, and so ray, takes a second to import
	build/cyclonedx/bin/python -m pip install --quiet "cyclonedx-bom>=7"
	build/cyclonedx/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type library --sv 1.6 --output-reproducible --of JSON -o build/sbom.cdx.json $(VENV)

bench: setup ## renderer, generator, studio, geometric score and physics: every target as demanded, measured, ok
	$(BIN)/python benchmarks/bench_render.py --json out/bench_render.json
	$(BIN)/python benchmarks/bench_generate.py --json out/bench_generate.json
	$(BIN)/python benchmarks/bench_studio.py --json out/bench_studio.json
	$(BIN)/python benchmarks/bench_quality.py --json out/bench_quality.json
	$(BIN)/python benchmarks/bench_physics.py --json out/bench_physics.json

clean: ## remove caches; what runs made in out/ stays
	rm -rf build .pytest_cache .ruff_cache .hypothesis
