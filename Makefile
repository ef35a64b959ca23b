# Two commands on a fresh machine: make run, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run serve test check format docs pictures endure seams mutate bench bench-live bench-growth bench-api bench-backup bench-monitoring bench-rehearsal bench-capabilities bench-moves bench-audit bench-pages clean
.DEFAULT_GOAL := run

# Where it is set, each of the portal's processes compiles all of it anew.
unexport PYTHONDONTWRITEBYTECODE

# Checked here, because the first thing a too old Python would do is fail somewhere less clear.
$(VENV)/.runtime: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Sigma Transit needs Python 3.11 or later; set PYTHON=/path/to/python."; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

$(VENV)/.docs: requirements-docs.txt $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-docs.txt
	@touch $@

run: $(VENV)/.runtime
	@$(BIN)/python -m config.main_job $(ARGS)

serve: $(VENV)/.runtime
	@$(BIN)/python -m config.main_job --serve $(ARGS)

# One more than there are cores: tests wait for servers, loops and clocks.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(len(os.sched_getaffinity(0)) + 1)')

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

SEEDS ?= 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20
USERS ?= 200000

docs: $(VENV)/.docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet
	@echo "The documentation begins in site/quick-start/index.html."

endure: $(VENV)/.dev
	@PORTAL_TEST_SEEDS=$(SEEDS) PORTAL_TEST_USERS=$(USERS) PORTAL_TEST_DISK=8g LOG_LEVEL=ERROR \
	  $(BIN)/python -m pytest -q -s tests/journeys/test_live_cutover.py $(ARGS)
	@PORTAL_TEST_CASES=all LOG_LEVEL=ERROR $(BIN)/python -m pytest -q -n 2 tests/journeys/test_every_statement.py \
	  tests/journeys/test_every_statement_of_a_run.py tests/journeys/test_environments.py tests/rollback/test_full.py \
	  tests/config/test_fuzz.py tests/rehearsal tests/journeys/test_main_job.py tests/attack/test_ladder.py
	@PORTAL_TEST_CASES=all PORTAL_TEST_KILLS=100 LOG_LEVEL=ERROR $(BIN)/python -m pytest -q tests/journeys/test_crashes.py
	@PORTAL_TEST_REQUESTS=10000 LOG_LEVEL=ERROR $(BIN)/python -m pytest -q -s \
	  tests/journeys/test_old_client_of_the_released_service.py
	@PORTAL_TEST_PLANS=200 LOG_LEVEL=ERROR $(BIN)/python -m pytest -q tests/journeys/test_random_plans.py
	@PORTAL_TEST_OPENID_CLIENT=1 $(BIN)/python -m pytest -q tests/iam/oauth/test_openid_client.py
	@PORTAL_TEST_INTERLEAVINGS=100 LOG_LEVEL=ERROR $(BIN)/python -m pytest -q -n 2 tests/journeys/test_every_interleaving.py

# Do the tests notice a fault? Chosen ones, and random ones by room.
seams: $(VENV)/.dev
	$(BIN)/python -m tests.seams $(ARGS)

mutate: $(VENV)/.dev
	$(BIN)/python -m tests.seams.mutate $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m config.gates

# The pictures of the docs, of the console as it is now.
pictures: $(VENV)/.dev
	@PORTAL_PICTURES=1 $(BIN)/python -m pytest -q tests/console/test_pictures.py

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench-growth: $(VENV)/.dev
	@$(BIN)/python -m bench.growth $(ARGS)

bench-live: $(VENV)/.dev
	@$(BIN)/python -m bench.live $(ARGS)

bench-api: $(VENV)/.dev
	@$(BIN)/python -m bench.api $(ARGS)

bench-backup: $(VENV)/.dev
	@$(BIN)/python -m bench.backup $(ARGS)

bench-monitoring: $(VENV)/.dev
	@$(BIN)/python -m bench.monitoring $(ARGS)

bench-rehearsal: $(VENV)/.dev
	@$(BIN)/python -m bench.rehearsal $(ARGS)

bench-capabilities: $(VENV)/.dev
	@$(BIN)/python -m bench.capabilities $(ARGS)

bench-audit: $(VENV)/.dev
	@$(BIN)/python -m bench.audit $(ARGS)

bench-pages: $(VENV)/.dev
	@$(BIN)/python -m bench.pages $(ARGS)

bench-moves: $(VENV)/.dev
	@$(BIN)/python -m bench.moves $(ARGS)

bench: $(VENV)/.dev
	@$(BIN)/python -m bench.copy $(ARGS)

clean:
	rm -rf $(VENV) .portal
