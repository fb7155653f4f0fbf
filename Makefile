# The commands of a newcomer: `make demo`, `make reproduce`, `make test`. `make help` lists the rest.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
# Installed anew whenever what is to be installed changes.
INSTALLED := $(VENV)/.installed

.PHONY: help install demo reproduce reproduce-all accuracy model test check format bench docs notebook clean

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(INSTALLED): pyproject.toml constraints.txt
	@echo "Installing emovox and what it needs, PyTorch included, into $(VENV): one to five minutes."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --editable '.[dev]' --constraint constraints.txt
	touch $@

install: $(INSTALLED)  ## Make .venv and install everything into it
	@echo "Installed. Try: $(BIN)/emovox demo"

demo: $(INSTALLED)  ## Predict recordings that come with emovox, offline, and listen (demo.html)
	$(BIN)/emovox demo

reproduce: $(INSTALLED)  ## The reference experiment: its two models and ours, on one split and on 20
	$(BIN)/emovox reproduce

reproduce-all: $(INSTALLED)  ## The same, and on speakers the models have never heard
	$(BIN)/emovox reproduce --all

accuracy: $(INSTALLED)  ## The shipped recipe under every protocol, three seeds each (resumes)
	$(BIN)/python benchmarks/accuracy.py

model: accuracy  ## Train what ships, on everything
	$(BIN)/python scripts/make_model.py runs/accuracy
	$(BIN)/emovox stress runs/accuracy/encoder-emobox-6-seed? --draws 3 --jobs 2 --out benchmarks/stress.csv
	$(BIN)/python scripts/make_model_card.py runs/accuracy

test: $(INSTALLED) check  ## Lint, types and tests
	$(BIN)/python -m pytest

check: $(INSTALLED)  ## Lint, format, types and spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell

format: $(INSTALLED)  ## Put the code into the house's form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

notebook: $(INSTALLED)  ## Run the notebook again and keep its outputs
	$(BIN)/python notebooks/run.py

bench: $(INSTALLED)  ## Measure speed and memory beside the peers (installs TensorFlow into .venv-peer)
	sh benchmarks/make_peer_env.sh
	$(BIN)/python benchmarks/bench.py

docs: $(INSTALLED)  ## Build the documentation into site/
	$(BIN)/mkdocs build --strict

clean:  ## Remove what was built, but no run and no data
	rm -rf $(VENV) build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis
