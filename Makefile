# `make` lists the commands. The environment is made in .venv, results in results/; pip, uv and matplotlib keep their caches
# in the home directory.
PYTHON ?=
CORES ?= all
RESULTS ?= results
UV_VERSION := 0.13.8
BIN := .venv/bin
# Tests of one file share what they set up; the order is that of tests/conftest.py.
SIDE_BY_SIDE := -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder
WORKFLOW = memory="$$($(BIN)/python -c 'import psutil; print(psutil.virtual_memory().total * 8 // 10 >> 20)')"; \
  $(BIN)/snakemake --cores $(CORES) --resources mem_mb="$$memory" --quiet host reason
# For plans of thousands of jobs: Snakemake 9 looks at every ready job again, once a timespan for each job that has ended.
MANY_JOBS := --scheduler-subsample 32 --max-jobs-per-timespan 10000/60s
UV := env -u PIP_FIND_LINKS $(BIN)/uv

# Where the home directory cannot be written, caches go into this folder instead.
ifeq ($(shell cache="$${XDG_CACHE_HOME:-$$HOME/.cache}"; mkdir -p "$$cache" 2>/dev/null && test -w "$$cache" && echo yes),)
export XDG_CACHE_HOME := $(CURDIR)/.cache
export UV_CACHE_DIR := $(CURDIR)/.cache/uv
export PIP_CACHE_DIR := $(CURDIR)/.cache/pip
export MPLCONFIGDIR := $(CURDIR)/.cache/matplotlib
endif

.PHONY: help setup reproduce lab test test-fast test-parity test-dvc test-slurm lint format lock docs readme findings bench bench-gpu trust chaos world ship-world clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

setup: ## make .venv with the locked packages; does nothing when it is up to date
	@here="$$(pwd -P)"; key="$$(cat requirements.lock pyproject.toml | cksum) uv $(UV_VERSION) $$here"; \
	if [ "$$(cat .venv/.ready 2>/dev/null)" = "$$key" ]; then exit 0; fi; \
	set -e; rm -f .venv/.ready; \
	if ! grep -qsF "$$here/.venv/" $(BIN)/pip; then \
	  python=; \
	  for candidate in $(if $(PYTHON),'$(PYTHON)',python3 python3.13 python3.12 python3.11 python3.14); do \
	    if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	      python="$$candidate"; break; fi; \
	  done; \
	  if [ -z "$$python" ]; then \
	    echo "error: no Python 3.11 or newer with the venv module: install one (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python@3.13), or name it: make setup PYTHON=/path/to/python3" >&2; \
	    exit 1; fi; \
	  echo "Making .venv with $$("$$python" --version)"; \
	  "$$python" -m venv --clear .venv; \
	fi; \
	echo "Installing the packages of requirements.lock"; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"; \
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock; \
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .; \
	printf '%s\n' "$$key" > .venv/.ready

reproduce: setup ## run the whole workflow, then show the main table
	@$(WORKFLOW)
	@$(BIN)/pnapo table results/tables/main.csv
	@echo
	@echo "Report: $$(pwd -P)/results/report.html"
	@echo "Tables: results/tables (CSV, Markdown, LaTeX)"

lab: setup ## tune and train every method and ablation, and judge the paper's claims (hours)
	@$(WORKFLOW) $(MANY_JOBS) --configfile config/lab.yaml
	@$(BIN)/pnapo table results/tables/claims.csv --columns backbone,claim,verdict,value,low,high,p_adjusted
	@echo
	@echo "Report: $$(pwd -P)/results/report.html"
	@echo "Claims: results/tables/claims.md, with how each was tested"

test: setup ## run every test (about an hour on two cores)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(SIDE_BY_SIDE)

test-fast: setup ## run the tests that take seconds
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not slow"

test-parity: setup ## compare ImageReward with its official package, which goes into .cache/parity
	@$(UV) pip install --quiet --python $(BIN)/python --target .cache/parity --no-deps --require-hashes \
	  --requirement envs/parity/requirements.txt
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/rewards/test_imagereward.py -rs

test-dvc: setup ## push, pull, revert and rerun with DVC, in temporary repositories
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/dvc

test-slurm: setup ## run the workflow on a SLURM that is started for it (needs root and: apt install slurm-wlm munge)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/slurm -rs

lint: setup ## check the sources' style and the workflow
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/snakefmt --check --line-length 120 Snakefile rules
	@$(BIN)/snakemake --lint

format: setup ## put the sources into that style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/snakefmt --line-length 120 Snakefile rules

lock: setup ## choose package versions anew
	@$(UV) pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --upgrade \
	  --no-emit-index-url --no-annotate --no-header --output-file requirements.lock
	@$(BIN)/python envs/generate.py

docs: setup ## write the configuration reference from the schema
	@$(BIN)/pnapo config docs

readme: setup ## write the README's table and image grid from results/
	@PYTHONPATH=. $(BIN)/python workflow_scripts/update_readme.py --results $(RESULTS)
	@PYTHONPATH=. $(BIN)/python workflow_scripts/readme_figures.py --results $(RESULTS) --out assets/readme/grid.png

findings: setup ## write docs/findings.md from the laboratory's RESULTS (default: results)
	@PYTHONPATH=. $(BIN)/python workflow_scripts/update_findings.py --results $(RESULTS)

bench: setup ## measure how fast it is, into docs/performance.md
	@$(BIN)/python benchmarks/run.py

bench-gpu: setup ## the same at real size, where there is a GPU
	@PYTHONPATH=. $(BIN)/python benchmarks/gpu.py --out results/benchmarks-gpu.json
	@PYTHONPATH=. $(BIN)/python benchmarks/scoring.py --device cuda --images 64

trust: setup ## try to break every promise of docs/reliability.md, and write what came out (an hour and a half)
	@$(UV) pip install --quiet --python $(BIN)/python --target .cache/fuzz --no-deps --require-hashes \
	  --requirement envs/fuzz/requirements.txt || echo "The fuzzer could not be fetched: without it trust.fuzz is not run" >&2
	@$(BIN)/python -m trust.run

chaos: setup ## kill jobs and Snakemake at random moments, and compare with an undisturbed run (ten minutes)
	@$(BIN)/python -m trust.chaos

world: setup ## train the embedded world's models from nothing (an hour and a half)
	@$(BIN)/snakemake --cores $(CORES) --quiet host reason -- world

ship-world: setup ## copy a finished world's models to assets/world
	@$(BIN)/snakemake --cores $(CORES) --quiet host reason -- ship_world

clean: ## remove the environment and the caches in this folder; results stay
	@rm -rf .venv .cache build ./*.egg-info .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "Kept: results/, and .snakemake/ which knows how they were made. To remove them: rm -r results .snakemake"
