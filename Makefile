# Everything from a clean checkout; needs Python 3.11+, make, git and a package index.
#
#   make demo                      a small study of two engines on this machine
#   make demo ENGINES=llamacpp     the same without PyTorch
#   make test                      install what the tests need and run them

PYTHON  ?= python3
VENV    ?= .venv
ENGINES ?= llamacpp pytorch
# Optional: an index that offers CPU builds of PyTorch; used only where no NVIDIA driver is found.
TORCH_INDEX_URL ?=

comma  := ,
empty  :=
space  := $(empty) $(empty)
engines := $(sort $(subst $(comma),$(space),$(ENGINES)))
extras  := $(subst $(space),$(comma),$(engines))
# A study of two engines, run with one of them only, is told so.
only    := $(if $(filter 1,$(words $(engines))),-b $(engines))

# Tests compile a virtual GPU's driver library: without a C compiler, with the one that a package carries.
has_cc    := $(firstword $(foreach name,cc gcc clang,$(shell command -v $(name) 2>/dev/null)))

has_gpu   := $(shell command -v nvidia-smi 2>/dev/null)
torch_url := $(if $(has_gpu),,$(if $(TORCH_INDEX_URL),--extra-index-url "$(TORCH_INDEX_URL)"))

bin     := $(VENV)/bin
pip     := $(bin)/python -m pip --disable-pip-version-check
venv    := $(VENV)/.made
runtime := $(VENV)/.runtime-$(subst $(space),-,$(engines))
dev     := $(VENV)/.dev
docs    := $(VENV)/.docs
sources := $(VENV)-sources/.made
inputs  := pyproject.toml constraints.txt
quick_tests := $(wildcard tests/unit tests/sim tests/property tests/startup)

.PHONY: help install demo check static test test-sources bench docs clean
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  ENGINES=\"$(engines)\" (any of: llamacpp pytorch)"

install: $(runtime) ## llem and the engines, into .venv

demo: $(runtime) ## a real study of small size: a table, and which configuration is best
	$(bin)/llem run examples/demo.yaml $(only)

check: static ## format, lint, types, imports and the quick tests
	$(if $(quick_tests),$(bin)/python -m pytest $(quick_tests))

static: $(dev) ## the part of check that runs no code of ours
	$(bin)/ruff format --check .
	$(bin)/ruff check .
	$(bin)/mypy
	$(bin)/lint-imports

test: $(runtime) $(dev) ## all tests that need no more than this machine
	$(bin)/python -m pytest tests --ignore=tests/sources

test-sources: $(sources) ## energy sources that read through packages of others, in an environment of their own
	$(VENV)-sources/bin/python -m pytest tests/sources

bench: $(runtime) $(dev) ## benchmarks; writes benchmarks/RESULTS.md
	$(bin)/python -m benchmarks.run

docs: $(docs) ## the documentation site, into site/
	NO_MKDOCS_2_WARNING=1 $(bin)/mkdocs build --strict --quiet
	@echo "site/index.html"

clean: ## remove .venv and caches; results stay
	rm -rf $(VENV) $(VENV)-sources .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage dist build site

$(venv):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(pip) install --quiet --upgrade 'pip>=25.1'
	@touch $@

$(runtime): $(inputs) | $(venv)
	@echo "Downloads, where they are not cached yet (into $(VENV)):"
	@echo "  the libraries that llem$(if $(filter pytorch,$(engines)), and transformers) use$(if $(filter pytorch,$(engines)),,s): about 150 MB"
ifneq ($(filter llamacpp,$(engines)),)
	@echo "  llama.cpp (xllamacpp): about 34 MB"
endif
ifneq ($(filter pytorch,$(engines)),)
	@echo "  PyTorch: about $(if $(has_gpu),3 GB with CUDA$(comma) for the NVIDIA GPU found,190 MB where the index offers a CPU build (else up to 3 GB: set TORCH_INDEX_URL))"
endif
	@echo "  on the first run the model, SmolLM2-135M: about 93 MB"
	$(pip) install --quiet -c constraints.txt $(torch_url) -e ".[$(extras)]"
	@touch $@

$(dev): $(inputs) | $(venv)
	@echo "Downloads, where they are not cached yet: test and lint tools, about 40 MB, and the libraries that llem uses"
	$(if $(has_cc),,@echo "  a C compiler (ziglang), as there is none here: about 100 MB")
	$(pip) install --quiet -c constraints.txt -e . --group dev $(if $(has_cc),,--group compiler)
	@touch $@

$(sources): $(inputs) | $(venv)
	@echo "Downloads, where they are not cached yet: Zeus and CodeCarbon with what they need, about 120 MB"
	$(bin)/python -m venv $(VENV)-sources
	$(VENV)-sources/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(VENV)-sources/bin/python -m pip install --quiet -c constraints.txt -e ".[zeus,codecarbon]" --group dev
	@touch $@

$(docs): $(inputs) | $(venv)
	@echo "Downloads, where they are not cached yet: MkDocs with its theme, about 15 MB"
	$(pip) install --quiet -c constraints.txt --group docs
	@touch $@
