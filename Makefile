# Everything runs in .venv, which each target builds first where it is missing.
#   make env ACCELERATOR=cpu|gpu|tpu    EXTRAS=torch,plan,peers adds optional extras of pyproject.toml
PYTHON ?= python3
ACCELERATOR ?= cpu
EXTRAS ?=
comma := ,
WANTED = $(strip $(filter-out cpu,$(ACCELERATOR)) $(EXTRAS))
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
FIGURES := figures
QUICKSTART := runs/quickstart

.PHONY: env quickstart figures test test-all soak bench lint clean
.DEFAULT_GOAL := env

# Always brings .venv up to date: with other extras than last time, too.
env:
	@rm -f $(READY)
	@$(MAKE) --no-print-directory $(READY)

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ppool_jax needs Python >= 3.11; $(PYTHON) is $$($(PYTHON) --version). Set PYTHON=..."; exit 1; }
	@case "$(ACCELERATOR)" in cpu|gpu|tpu) ;; *) echo "ACCELERATOR: expected cpu, gpu or tpu, got $(ACCELERATOR)"; exit 1;; esac
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r requirements.txt
	$(BIN)/python -m pip install --quiet -c requirements.txt \
	  -e ".[test,train$(WANTED:%=$(comma)%)]"
	@touch $@

# Max pooling and P-pooling from scratch on generated scenes; interrupted, it goes on where it was.
quickstart: $(READY)
	$(BIN)/python -m train --config=configs/quickstart.py:pool=max --workdir=$(QUICKSTART)/max
	$(BIN)/python -m train --config=configs/quickstart.py:pool=ppool --workdir=$(QUICKSTART)/ppool
	$(BIN)/python -m train.report $(QUICKSTART)/max $(QUICKSTART)/ppool --out $(QUICKSTART)/report.html

figures: $(READY)
	$(BIN)/python -m ppool_jax.figures --out $(FIGURES)

test: $(READY)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

# The sweeps over all networks and poolings, too, and every program compiled with all of XLA's optimizations.
test-all: $(READY)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --all

# Thirty interruptions: kill -9, SIGTERM, truncated and bit-flipped checkpoints; minutes.
soak: $(READY)
	PYTHONPATH=. $(BIN)/python tests/helpers/soak.py

bench: $(READY)
	$(BIN)/python -m benchmarks.pooling --out benchmarks/results/pooling-$(ACCELERATOR).json
	$(BIN)/python -m benchmarks.training --stages --out benchmarks/results/training-$(ACCELERATOR).json
	$(BIN)/python -m benchmarks.saving --out benchmarks/results/saving-$(ACCELERATOR).json
	$(BIN)/python -m benchmarks.scaling --out benchmarks/results/scaling.json

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright

clean:
	rm -rf $(VENV) .jax_cache .pytest_cache .ruff_cache .hypothesis $(FIGURES) $(QUICKSTART)
