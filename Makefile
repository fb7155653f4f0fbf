# Start with `make demo`, `make reproduce` or `make test`. `make help` lists the rest.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
# Reinstalled whenever the requirements change.
INSTALLED := $(VENV)/.installed
# What tells whether new versions of dependencies do as before.
SMOKE := tests/test_privacy.py tests/test_runtime_imports.py tests/recognition tests/export tests/service \
	tests/cli/test_train.py

.PHONY: help install demo reproduce reproduce-all accuracy model test check fuzz format bench bench-archive \
	bench-serve docs page notebook lock newest clean

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(INSTALLED): pyproject.toml constraints.txt requirements.lock scripts/install.sh
	@echo "Installing emovox and its dependencies, PyTorch included, into $(VENV): one to five minutes."
	sh scripts/install.sh $(PYTHON) $(VENV)
	touch $@

install: $(INSTALLED)  ## Create .venv and install everything into it
	@echo "Installed. Try: $(BIN)/emovox demo"

demo: $(INSTALLED)  ## Predict the bundled recordings offline and write a page with players (demo.html)
	$(BIN)/emovox demo

reproduce: $(INSTALLED)  ## Run the reference experiment: its two models and ours, on one split and on 20
	$(BIN)/emovox reproduce

reproduce-all: $(INSTALLED)  ## Run the reference experiment, and test on unseen speakers too (208 MB)
	$(BIN)/emovox reproduce --all

accuracy: $(INSTALLED)  ## Score the recipe encoder on RAVDESS under every protocol, three seeds each (resumes)
	$(BIN)/python benchmarks/accuracy.py

model: $(INSTALLED)  ## Score the shipped recipe on corpora left out, train the shipped model, write its card
	$(BIN)/python benchmarks/voices.py
	$(BIN)/python scripts/make_model.py
	$(BIN)/emovox stress default --corpus ravdess --clips 240 --out benchmarks/stress.csv
	$(BIN)/python scripts/make_model_card.py

test: $(INSTALLED) check  ## Run all checks and tests
	$(BIN)/python -m pytest

check: $(INSTALLED)  ## Check lint, format, types and spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell

fuzz: $(INSTALLED)  ## Feed damaged files to emovox (2 minutes; FUZZ='--count 9000' for the long run)
	$(BIN)/python scripts/fuzz.py $(FUZZ)

format: $(INSTALLED)  ## Fix lint and format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

notebook: $(INSTALLED)  ## Run the notebook and save its outputs
	$(BIN)/python notebooks/run.py

bench: $(INSTALLED)  ## Compare speed and memory with the peers (installs TensorFlow into .venv-peer)
	sh benchmarks/make_peer_env.sh
	$(BIN)/python benchmarks/bench.py

bench-archive: $(INSTALLED)  ## Compare the engines of emovox archive (ARCHIVE='FOLDER --clips 3000')
	$(BIN)/python benchmarks/archive.py $(ARCHIVE)

bench-serve: $(INSTALLED)  ## Measure the service against a bare onnxruntime loop (six minutes)
	$(BIN)/python benchmarks/serve.py

docs: $(INSTALLED)  ## Build the documentation into site/
	$(BIN)/mkdocs build --strict

page: page/node_modules  ## Build the web page into src/emovox/assets/page (needs Node 20)
	cd page && npx tsc --noEmit && npx vite build

page/node_modules: page/package-lock.json
	cd page && npm install --no-save --ignore-scripts --no-audit --no-fund
	touch $@

lock:  ## Lock the dependencies of pyproject.toml, with hashes (UPGRADE=--upgrade: newest versions)
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet uv
	UV_FIND_LINKS="$${PIP_FIND_LINKS:-https://download.pytorch.org/whl/cpu/torch/}" .venv-lock/bin/uv \
		pip compile pyproject.toml --extra dev --constraint constraints.txt --generate-hashes --no-annotate \
		--python-version 3.11.5 --python-platform x86_64-manylinux_2_28 --native-tls --quiet \
		--custom-compile-command "make lock" --output-file requirements.lock $(UPGRADE)

newest:  ## Run the smoke tests on the newest versions that pyproject.toml allows, in .venv-newest
	rm -rf .venv-newest
	sh scripts/install.sh $(PYTHON) .venv-newest --newest
	.venv-newest/bin/python -m pip list
	.venv-newest/bin/python -m pytest $(SMOKE)

clean:  ## Remove build outputs; keep runs and data
	rm -rf $(VENV) .venv-lock .venv-newest build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis
