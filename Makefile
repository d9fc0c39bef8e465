# Two commands for a user: `make rehearse` and `make test`. Both prepare what
# they need in .venv, which takes no time the second time.

# The first of these that is really a Python from 3.11 to 3.14 (a name on PATH may be
# a shim that does not work; for newer versions there are no wheels yet). `make PYTHON=/path/to/python …` overrides.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -I -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' >/dev/null 2>&1 && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -I tools/locked_pip.py
# Each lock is complete, so nothing is resolved: pip up to 23.2.1 would resolve an extra such as
# `pydantic[email]` to the newest release, for which there is no hash.
LOCKED := --no-deps --require-hashes --only-binary :all:

# Meant for other Pythons: with a PYTHONPATH, pip finds packages that are not locked and pytest loads
# their plugins; PYTHONHOME and PYTHONWARNINGS break more. And without PYTHONDONTWRITEBYTECODE, every
# worker need not compile every test again.
unexport $(filter-out PYTHON,$(filter PYTHON%,$(.VARIABLES)))

# Names as common as these mean something else where they come from the environment.
$(foreach name,DIST TESTS VERSION RUNS FILES PARTS WRITE TARGET CASE SEED SBOM UPGRADE,\
	$(if $(filter environment,$(origin $(name))),$(eval $(name) :=)))

.PHONY: rehearse test test-pythons test-clocks slow bench e2e e2e-with-engine e2e-without-engine e2e-of-commands e2e-slow \
	e2e-arm64 e2e-alpine wheels audit fuzz carried dist sbom pin house lint format lock clean

## rehearse: publish a sample release to the embedded PyPI and Sigstore (DIST=folder for your own)
rehearse: $(VENV)/runtime
	$(BIN)/python -m attested_publish rehearse $(DIST)

## test: the whole test suite
test: $(VENV)/dev
	$(BIN)/python -m pytest -n auto --dist worksteal $(TESTS)

## test-pythons: the same on Debian's Pythons, in other languages (PYTHONS="3.13 3.14"); needs root, Debian, the network
test-pythons: $(VENV)/dev
	@PYTHONPATH=tests $(BIN)/python -m platforms --pythons $(or $(PYTHONS),3.13 3.14) --tests "$(TESTS)"

## test-clocks: the same under other dates, in other time zones (CLOCKS="+400d 2028-02-29"); needs what test-pythons needs
test-clocks: $(VENV)/dev
	@PYTHONPATH=tests $(BIN)/python -m platforms --clocks $(or $(CLOCKS),+400d 2028-02-29) --tests "$(TESTS)"

## slow: the rest of the large tables, of which `make test` runs the first rows
slow: $(VENV)/dev
	$(BIN)/python -m pytest -n auto --dist worksteal -m slow $(TESTS)

## bench: what a user waits for, compared with the manual way (FILES="2 10" RUNS=1 PARTS="release provenance check start first-call image lock" narrow it)
bench: $(VENV)/dev
	@$(BIN)/python benchmarks/bench.py $(if $(FILES),--files $(FILES)) $(if $(RUNS),--runs $(RUNS)) $(if $(PARTS),--parts $(PARTS))

## e2e: the real action, on Debian as root: a Docker engine, the image, act and its callers; real indexes
e2e: $(VENV)/dev $(VENV)/e2e/ready $(VENV)/audit/ready
	@$(MAKE) --no-print-directory --jobs 2 --keep-going --output-sync=target e2e-with-engine e2e-without-engine e2e-of-commands

E2E := -m pytest -n 0 --timeout 600 -o python_files='e2e_*.py'
OTHER_PLATFORMS := tests/e2e/platforms
OF_COMMANDS := $(wildcard tests/e2e/e2e_setup*.py) tests/e2e/e2e_step_summaries.py tests/e2e/e2e_hostile_locks.py

e2e-with-engine: $(VENV)/dev $(VENV)/e2e/ready
	$(BIN)/python $(E2E) -m 'engine and not slow' --ignore=$(OTHER_PLATFORMS) tests/e2e $(TESTS)

e2e-without-engine: $(VENV)/dev $(VENV)/e2e/ready $(VENV)/audit/ready
	$(BIN)/python $(E2E) -m 'not engine and not slow' $(OF_COMMANDS:%=--ignore=%) --ignore=$(OTHER_PLATFORMS) tests/e2e $(TESTS)

# It starts when one of the others ends: together they take no longer than the longest.
e2e-of-commands: $(VENV)/dev $(VENV)/e2e/ready
	$(BIN)/python $(E2E) -m 'not engine and not slow' $(OF_COMMANDS) $(TESTS)

## e2e-slow: the rest of the end-to-end tests: other Podmans, what takes longest
e2e-slow: $(VENV)/dev $(VENV)/e2e/ready $(VENV)/audit/ready
	$(BIN)/python $(E2E) -m slow --ignore=$(OTHER_PLATFORMS) tests/e2e $(TESTS)

## e2e-arm64: the action on arm64, through QEMU: Debian and Alpine in plain Python, the image. Takes an hour
e2e-arm64: $(VENV)/dev
	$(BIN)/python $(E2E) --timeout 3600 -k 'arm64' $(OTHER_PLATFORMS)

## e2e-alpine: the action in Alpine, in plain Python
e2e-alpine: $(VENV)/dev
	$(BIN)/python $(E2E) -k 'not arm64' $(OTHER_PLATFORMS)

## wheels: check that every supported platform has a wheel for every locked package (WRITE=1 corrects the tables)
wheels: $(VENV)/dev
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python tools/wheels.py $(if $(WRITE),--write)

## audit: look up every locked package in OSV, the database of known vulnerabilities (needs the network)
audit: $(VENV)/audit/ready
	@$(BIN)/python tools/audit.py

## fuzz: malicious input for everything that reads input, for FUZZ_SECONDS (120); SEED, TARGET, CASE repeat one
fuzz: $(VENV)/dev
	@PYTHONPATH=tests $(BIN)/python -m fuzz --seconds $(or $(FUZZ_SECONDS),120) $(if $(SEED),--seed $(SEED)) \
		$(foreach target,$(TARGET),--target $(target)) $(if $(CASE),--case $(CASE))

## carried: write the files that the wheel carries: completions, the troubleshooting guide
carried: $(VENV)/dev
	$(BIN)/python tools/carried.py

## dist: build the sdist and the wheel into DIST (dist), the same bytes every time
dist: $(VENV)/runtime
	$(BIN)/python tools/build_distributions.py $(or $(DIST),dist)

## sbom: what the lock of the command contains, as CycloneDX, into SBOM (sbom.cdx.json)
sbom: $(VENV)/sbom/ready
	PYTHONWARNINGS=ignore $(VENV)/sbom/bin/cyclonedx-py requirements --output-reproducible --pyproject pyproject.toml \
		--mc-type application --of JSON --output-file $(or $(SBOM),sbom.cdx.json) requirements/runtime.txt

## pin: after a release, pin every example to it (VERSION=1.2.3, whose tag git has here)
pin: | $(BIN)/python
	@$(BIN)/python tools/pin_examples.py $(VERSION)

## house: how the package is built (modules, layers, circles, sizes), held to its bounds
house: $(VENV)/dev
	@$(BIN)/python tools/house.py

## lint: formatting, types, layers, and the linters of YAML, shell and Dockerfile
lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/python tools/house.py
	$(BIN)/zizmor --offline --no-progress --persona=auditor .
	$(BIN)/zizmor --offline --no-progress --persona=auditor --config .github/zizmor.yml docs/examples/*.yml
	$(BIN)/actionlint
	$(BIN)/yamllint --strict .
	PATH="$(abspath $(BIN)):$$PATH" shellcheck launch.sh .ci/run tools/*.sh
	$(BIN)/hadolint Dockerfile

## format: reformat the Python files with ruff
format: $(VENV)/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

COMPILE = $(BIN)/uv pip compile $(UPGRADE) --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-header

## lock: update requirements/*.txt from requirements/*.in (universal, with hashes)
lock: $(VENV)/dev
	$(COMPILE) requirements/runtime.in --output-file requirements/runtime.txt
	$(COMPILE) requirements/uv.in --output-file requirements/uv.txt
	$(COMPILE) requirements/lock.in --output-file requirements/lock.txt
	$(COMPILE) requirements/setup.in --output-file requirements/setup.txt
	$(COMPILE) requirements/dev.in --constraints requirements/runtime.txt \
		--constraints requirements/uv.txt --constraints requirements/lock.txt \
		--constraints requirements/setup.txt \
		--output-file requirements/dev.txt
	$(COMPILE) requirements/sbom.in --output-file requirements/sbom.txt
	$(COMPILE) requirements/e2e.in --constraints requirements/dev.txt \
		--output-file requirements/e2e.txt
	$(COMPILE) --no-deps requirements/alpine.in --output-file requirements/alpine.txt
	$(COMPILE) requirements/audit.in --constraints requirements/dev.txt \
		--constraints requirements/e2e.txt --output-file requirements/audit.txt

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .grimp_cache .import_linter_cache

# A failed installation leaves no stamp file, so the next call starts over instead of
# trusting half of one.
$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "attested-publish needs Python 3.11 to 3.14, but found none on PATH." >&2; exit 1; }
	$(PYTHON) -I -m venv --clear $(VENV) || { rm -rf $(VENV); echo "Python's venv module did not work: on Debian and Ubuntu, install python3-venv." >&2; exit 1; }

# With the extras, so that every command works in a checkout.
$(VENV)/runtime: requirements/runtime.txt requirements/lock.txt requirements/setup.txt pyproject.toml Makefile | $(BIN)/python
	$(PIP) install --quiet $(LOCKED) -r requirements/runtime.txt -r requirements/lock.txt -r requirements/setup.txt
	$(PIP) check
	$(PIP) install --quiet --no-deps --no-index --no-build-isolation --editable .
	@# With LC_ALL=C, Python does not start if there is a path that is not ASCII in here.
	@printf '../../../../src\n' >"$$(echo $(VENV)/lib/python*/site-packages/attested_publish.pth)"
	@touch $@

# What only some targets need, each in an environment of its own.
$(VENV)/%/ready: requirements/%.txt | $(BIN)/python
	$(BIN)/python -I -m venv --clear $(VENV)/$*
	$(VENV)/$*/bin/python -I tools/locked_pip.py install --quiet $(LOCKED) -r requirements/$*.txt
	$(VENV)/$*/bin/python -I tools/locked_pip.py check
	@touch $@

$(VENV)/dev: requirements/dev.txt $(VENV)/runtime
	$(PIP) install --quiet $(LOCKED) -r requirements/dev.txt
	$(PIP) check
	@touch $@
