# `make run` and `make test` need nothing but Python 3.11 or newer and this checkout.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
CRASH_ROUNDS ?= 200
MIRROR_ROUNDS ?= 20
PUBLISHES ?= 100
BACKUPS ?= 100
OPERATIONS ?= 100000
FLIPS ?= 1000
ROUNDS ?= 12

.PHONY: run test lint conformance clients bench crash crash-mirror crash-packages hostile hostile-packages mirror \
  cookbook auth backup full-disk upgrade repositories churn growth oracles executable lock clean image image-test kubernetes-test release-test sbom audit changelog changelog-draft upkeep operations \
  packages systemd-test

run: $(STAMP)
	$(BIN)/pkgd serve

test: $(STAMP)
	$(BIN)/trial tests

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	! $(BIN)/mypy -p tests | grep -E '\[(call-arg|name-defined|import-not-found)\]'
	$(BIN)/trial tests.test_layers

repositories: $(STAMP)
	$(BIN)/python -m tests.repositories

churn: $(STAMP)
	$(BIN)/python -m tests.repositories.churn --publishes $(PUBLISHES)

growth: $(STAMP)
	$(BIN)/python -m tests.repositories.growth --publishes $(PUBLISHES)

oracles: oracles-deb oracles-rpm oracles-openpgp

oracles-%: $(STAMP)
	$(BIN)/python -m tests.oracles $* $(if $(SAMPLE),--sample $(SAMPLE))

auth: auth-logins auth-modes auth-oidc

auth-%: $(STAMP)
	$(BIN)/python -m tests.$*

conformance: $(STAMP)
	$(BIN)/python -m tests.conformance

clients: $(STAMP)
	$(BIN)/python -m tests.live

bench: $(STAMP)
	$(BIN)/python -m tests.bench

crash-mirror: $(STAMP)
	$(BIN)/python -m tests.crash.mirror --rounds $(MIRROR_ROUNDS)

hostile: $(STAMP)
	$(BIN)/python -m tests.hostile

hostile-packages: $(STAMP)
	$(BIN)/python -m tests.hostile.packages

mirror: $(STAMP)
	$(BIN)/python -m tests.upstream

cookbook: $(STAMP)
	$(BIN)/python -m tests.cookbook $(if $(LAYER),--layer $(LAYER))

crash: $(STAMP)
	$(BIN)/python -m tests.crash --rounds $(CRASH_ROUNDS)

backup: $(STAMP)
	$(BIN)/python -m tests.backup --backups $(BACKUPS)

upkeep: $(STAMP)
	$(BIN)/python -m tests.upkeep --operations $(OPERATIONS) --flips $(FLIPS)

operations: $(STAMP)
	$(BIN)/python -m tests.operations --rounds $(ROUNDS)

full-disk: $(STAMP)
	$(BIN)/python -m tests.backup.fulldisk

upgrade: $(STAMP)
	$(BIN)/python -m tests.upgrade

crash-packages: $(STAMP)
	$(BIN)/python -m tests.crash.packages

# Installs exactly what the lock files say, each file checked by its hash.
$(STAMP): requirements/runtime.txt requirements/development.txt setup.py
	$(PYTHON) -c 'import sys; sys.exit("pkgd needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	rm -rf $(VENV)
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || test "$$(id -u)" != 0 || \
	  { apt-get update -qq && apt-get install -y -qq python3-venv; }
	$(PYTHON) -m venv $(VENV) || { \
	  echo "python3-venv is missing; on Debian: apt-get install python3-venv" >&2; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/development.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	  --config-settings editable_mode=compat --editable .
	touch $@

executable:
	packaging/executable/build

image: executable
	/usr/bin/python3 packaging/image/build.py

kubernetes-test: $(STAMP)
	$(BIN)/python -m tests.kubernetes

release-test: $(STAMP)
	$(BIN)/python -m tests.release

image-test: $(STAMP) image
	$(BIN)/python -m tests.image

# Of what `make executable` has built.
sbom:
	build/venv/bin/python packaging/sbom/sbom.py

audit:
	python3 packaging/sbom/audit.py

# What has changed, for people: CHANGELOG.md of VERSION from newsfragments/, which are removed.
changelog: $(STAMP)
	$(BIN)/towncrier build --yes --version $(or $(VERSION),$(error VERSION is not set))

changelog-draft: $(STAMP)
	$(BIN)/towncrier build --draft --version $$(dist/pkgd --version) --date $$(git log -1 --format=%cs) > dist/CHANGELOG.md

# pkgd's own .deb and .rpm, of what `make executable` has made.
packages:
	packaging/packages/build.py

systemd-test: $(STAMP)
	$(BIN)/python -m tests.systemd

lock:
	$(PYTHON) -m venv $(VENV)-lock && $(VENV)-lock/bin/pip install --quiet pip-tools
	$(VENV)-lock/bin/pip-compile $(LOCK_FLAGS) --output-file requirements/runtime.txt setup.py
	$(VENV)-lock/bin/pip-compile $(LOCK_FLAGS) --output-file requirements/development.txt requirements/development.in
	$(VENV)-lock/bin/pip-compile $(LOCK_FLAGS) --output-file requirements/build.txt requirements/build.in
	rm -rf $(VENV)-lock

LOCK_FLAGS := --quiet --strip-extras --generate-hashes --allow-unsafe \
  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host

clean:
	rm -rf $(VENV) build dist *.egg-info _trial_temp*
