# Works with GNU make 3.81 (macOS) and any later one.

PYTHON   ?=
VENV     ?= .venv
BIN      := $(VENV)/bin
# Set to the number of cores where there are more.
JOBS     ?= 2
# What the tests of the harness compute with; kept out of the locks (see pyproject.toml), and
# installed before them, as a package in them asks for it.
TORCH    ?= torch==2.13.0
# Options of the two parts of `make soak`, such as SOAK="--speed 4" FAULTS="--turns 1".
SOAK     ?=
FAULTS   ?=
# What `make bench` measures of the longest ones; BENCH=full measures every case.
BENCH           ?=
SHORT_CONTROL   := --servers 100 --cycles 2
SHORT_FORECASTS := --servers 200
SHORT_HARNESS   := 10
SHORT_HORIZON   := --cards 5
SHORT_PARTS     := 300 6
SHORT_SHARING   := --requests 50000
SHORT_TRACE     := --model Qwen2.5-14B --accelerator A100-SXM-80GB
PIP      := $(BIN)/python -m pip --disable-pip-version-check --no-input
# Wheels alone: building a package from source would fetch tools that no lock pins.
INSTALL  := $(PIP) install --quiet --require-hashes --only-binary :all:
COMPILE  := $(BIN)/uv pip compile pyproject.toml --quiet --universal --fork-strategy fewest \
            --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

# Figures are for one thread and test processes share the cores: no thread pools in numpy.
export OMP_NUM_THREADS      := 1
export OPENBLAS_NUM_THREADS := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help plan watch test servers lint format bench soak fidelity correction wheel docs lock clean

help: ## List what make can do here
	@awk 'BEGIN { FS = ":.*## " } /^[a-z][a-z-]*:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

plan: $(VENV)/.run ## Install Stoker and plan the built-in large fleet (table, and plots in plots/)
	$(BIN)/stoker solve large --plots plots/

watch: $(VENV)/.kube servers ## Install Stoker with a Kubernetes API server and Prometheus, and watch the control loop over an emulated day (five minutes)
	@$(BIN)/stoker demo 15-control-loop

test: $(VENV)/.dev servers ## Run all tests
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

servers: ## Install the servers that tests and demonstrations start (Debian, as root; else say which are missing)
	@tools/install_servers.sh

lint: $(VENV)/.dev ## Check style, formatting, types and the floors between packages
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(VENV)/.dev ## Format the code and mend what ruff can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.dev ## Measure sizing, solving, simulating and the loop, in under twenty minutes on two idle cores (BENCH=full: every case)
	@set -e; for file in benchmarks/bench_*.py; do \
	  name=$$(basename $$file .py); options=; \
	  if [ "$(BENCH)" != full ]; then \
	    case $$name in \
	      bench_control) options="$(SHORT_CONTROL)" ;; \
	      bench_forecasts) options="$(SHORT_FORECASTS)" ;; \
	      bench_harness) options="$(SHORT_HARNESS)" ;; \
	      bench_horizon) options="$(SHORT_HORIZON)" ;; \
	      bench_parts) options="$(SHORT_PARTS)" ;; \
	      bench_sharing) options="$(SHORT_SHARING)" ;; \
	      bench_trace) options="$(SHORT_TRACE)" ;; \
	    esac; \
	  fi; \
	  echo "== python -m benchmarks.$$name $$options"; began=$$(date +%s); \
	  $(BIN)/python -m benchmarks.$$name $$options; \
	  echo "== $$name took $$(( $$(date +%s) - began )) s"; \
	done

soak: $(VENV)/.dev servers ## Run the control loop through a ramp to five times the load and back, and break its world in every way three times (an hour), and write docs/reliability.md
	$(BIN)/python -m benchmarks.soak $(SOAK)
	$(BIN)/python -m benchmarks.soak.faults $(FAULTS)

fidelity: $(VENV)/.dev ## Judge the analysis by simulation and measurements, and write docs/fidelity.md
	$(BIN)/python -m benchmarks.fidelity --jobs $(JOBS)

correction: $(VENV)/.dev ## Simulate the examples of the correction, and fit it to them (hours)
	$(BIN)/python -m benchmarks.correction --jobs $(JOBS)

wheel: $(VENV)/.dev ## Build the wheel and try it in an empty environment outside the checkout
	rm -rf dist
	$(BIN)/python -m hatchling build -t wheel -d dist
	$(BIN)/python tools/check_wheel.py dist/*.whl requirements/run.lock

docs: $(VENV)/.run ## Generate the pages and pictures of docs/ that come from the program
	mkdir -p docs/schema
	$(BIN)/python -m typer stoker.cli.main utils docs --name stoker --title "Command line" --output docs/cli.md
	$(BIN)/stoker schema --output docs/schema/fleet.schema.json
	$(BIN)/python -m demos.render_docs_images docs/images

lock: $(VENV)/.dev ## Renew the exact versions in requirements/ (UPGRADE=1: newest ones)
	$(COMPILE) $(if $(UPGRADE),--upgrade) --group build -o requirements/run.lock
	$(COMPILE) $(if $(UPGRADE),--upgrade) --extra distributed --extra kube --extra load --extra profile --group build --group dev -c requirements/run.lock -o requirements/dev.lock
	$(COMPILE) $(if $(UPGRADE),--upgrade) --extra kube --group build -c requirements/dev.lock -o requirements/kube.lock

clean: ## Remove the environment and everything generated
	rm -rf $(VENV) build dist plots demo-output .fidelity .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# The environment, in three steps, each repeated only when its inputs change.

$(VENV)/.python:
	@set -e; \
	for python in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	  if "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then \
	    echo "Creating $(VENV) with $$("$$python" --version)"; \
	    "$$python" -m venv $(VENV) || { \
	      rm -rf $(VENV); \
	      echo "Python cannot create environments here; on Debian and Ubuntu: apt install python3-venv" >&2; \
	      exit 1; \
	    }; \
	    touch $@; \
	    exit 0; \
	  fi; \
	done; \
	echo "Stoker needs Python 3.11, 3.12 or 3.13; python3 here is: $$(python3 --version 2>&1 || true)" >&2; \
	echo "Install one of them, or name it: make PYTHON=/path/to/python3.12 ..." >&2; \
	exit 1

$(VENV)/.run: $(VENV)/.python requirements/run.lock pyproject.toml
	$(INSTALL) -r requirements/run.lock
	$(PIP) install --quiet --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/.kube: $(VENV)/.run requirements/kube.lock
	$(INSTALL) -r requirements/kube.lock
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.lock
	$(PIP) install --quiet --only-binary :all: "$(TORCH)"
	$(INSTALL) -r requirements/dev.lock
	@touch $@
