# Two commands do everything: `make` (environment and pipeline) and `make test`.
# `make help` lists the rest.
SHELL := bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

PYTHON ?= python3
RUN := .venv
DEV := .venv-dev
# Programs of the environments first, so that dvc and python are the pinned ones.
export PATH := $(CURDIR)/$(DEV)/bin:$(CURDIR)/$(RUN)/bin:$(PATH)

.PHONY: all
all: repository $(RUN)/installed  ## build the environment, run the whole pipeline, show the figures, write the report
	@$(RUN)/bin/python -m stages.verify --mend
	$(RUN)/bin/python -m dvc repro $(if $(wildcard data/models/base.pt),,--force)
	@$(RUN)/bin/python -m stages.report

.PHONY: report
report: $(RUN)/installed  ## write report.html: how good, where it fails, what to do, with plots
	@$(RUN)/bin/python -m stages.report

.PHONY: compare
compare: $(RUN)/installed  ## write comparison.html, the report beside another revision: make compare REV=HEAD~1
	@$(RUN)/bin/python -m stages.report --against '$(or $(REV),HEAD)'

.PHONY: card
card: $(RUN)/installed  ## write model_card.md: use, data, training, figures, limits of the model
	@$(RUN)/bin/python -m stages.report --card

.PHONY: test
test: repository $(DEV)/installed  ## run every test
	$(DEV)/bin/python -m pytest

.PHONY: check
check: $(DEV)/installed  ## lint and types
	$(DEV)/bin/python -m ruff format --check .
	$(DEV)/bin/python -m ruff check .
	$(DEV)/bin/python -m mypy

.PHONY: format
format: $(DEV)/installed  ## put the code into the one format
	$(DEV)/bin/python -m ruff format .
	$(DEV)/bin/python -m ruff check --fix .

.PHONY: bench
bench: $(DEV)/installed $(DEV)/peers  ## accuracy over 20 split seeds; time of pipeline and promises; large tables; the search and its peers
	$(DEV)/bin/python -m tests.benchmarks.accuracy
	$(DEV)/bin/python -m tests.benchmarks.duration
	$(DEV)/bin/python -m tests.benchmarks.arithmetic
	$(DEV)/bin/python -m tests.benchmarks.preprocessing
	$(DEV)/bin/python -m tests.benchmarks.search

.PHONY: chaos
chaos: $(DEV)/installed  ## kill the pipeline at 200 random instants; it must end with the same bytes
	$(DEV)/bin/python -m tests.chaos

.PHONY: verify
verify: repository $(RUN)/installed  ## rebuild the committed state from nothing, compare it with dvc.lock
	@$(RUN)/bin/python -m stages.verify

.PHONY: verify-emulated
verify-emulated: $(RUN)/installed  ## the same bytes on emulated processors of Intel and AMD
	$(RUN)/bin/python -m tests.emulation

.PHONY: experiments
experiments: $(RUN)/installed  ## compare the experiments of the last three commits by validation figures
	@$(RUN)/bin/python -m dvc exp show --md --num 3 --only-changed --hide-failed --drop \
	'^(?!Experiment|ensemble_val|transfer_gain$$|arithmetic|device|preprocess\.|model\.|train\.|finetune\.)'

.PHONY: schema
schema: $(RUN)/installed  ## write params.schema.json anew after a change of the settings
	$(RUN)/bin/python -m stages.common.params

.PHONY: errors
errors: $(DEV)/installed  ## write docs/errors.md anew after a change of an error
	$(DEV)/bin/python -m tests.catalogue

.PHONY: lessons
lessons: repository $(DEV)/installed  ## run the lessons anew, write docs/lessons.md and its pictures
	$(DEV)/bin/python -m tests.lessons

.PHONY: tables
tables: $(DEV)/installed  ## write the default digit tables anew
	$(DEV)/bin/python data/make_digits.py

.PHONY: clean
clean:  ## remove everything that make made, but not the DVC cache
	rm -rf $(RUN) $(DEV) data/tensors data/models

.PHONY: help
help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/make \1\t\2/p' Makefile | expand -t 24

# The stages need only the runtime environment; the tools of development are laid over it,
# so that what they bring along (SciPy) is never seen by a stage.
$(RUN)/installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; try make PYTHON=python3.11")'
	@echo "installing the pinned versions into $(RUN); this takes a minute or two"
	$(PYTHON) -m venv $(RUN)
	$(RUN)/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	@touch $@

$(DEV)/installed: requirements-dev.txt $(RUN)/installed
	$(PYTHON) -m venv $(DEV)
	$(DEV)/bin/python -c 'import sysconfig, pathlib; \
	site = pathlib.Path(sysconfig.get_path("purelib")); \
	runtime = pathlib.Path("../../../..") / "$(RUN)" / site.relative_to(pathlib.Path("$(DEV)").resolve()); \
	(site / "runtime.pth").write_text(f"{runtime}\n")'
	$(DEV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@touch $@

$(DEV)/peers: requirements-peers.txt $(DEV)/installed
	$(DEV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade \
	--target $@ --requirement requirements-peers.txt
	@touch $@

.PHONY: repository
repository:
	@git rev-parse --verify --quiet HEAD >/dev/null 2>&1 || { \
	echo "error: DVC needs a Git repository with a commit; in this folder run:"; \
	echo "  git init && git add --all && git commit --message 'tabline'"; exit 2; }
