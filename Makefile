# Everything that is done to this checkout. `make` alone says what there is.

BIN := build/venv/bin
STAMP := build/venv/.made
PYTEST_ARGS ?=
TORTURE_ARGS ?=
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?=
BENCH_ARGS ?=

# Peers of Debian that the tests run rootrun against, shells that load its completions, and
# compilers of static programs.
PEERS := acl attr buildah busybox-static charliecloud docker-registry fakeroot fish gcc-multilib \
	golang-go groff-base jq libcap2-bin man-db mmdebstrap musl-tools nix-bin passt podman proot \
	qemu-system-x86 runc skopeo squashfs-tools strace uidmap umoci xz-utils zsh zstd

.DEFAULT_GOAL := help
.PHONY: help env demo test check peers bench bench-fakeroot torture fuzz clean

help:
	@echo 'make demo    make the environment and a small base image, run a script in it, show the layer'
	@echo 'make test    make the environment and run the tests; PYTEST_ARGS="-k name" runs some'
	@echo 'make check   format, lint and types, then the tests'
	@echo 'make env     make the environment build/venv alone'
	@echo 'make peers   install the programs that the tests compare with (Debian, as root)'
	@echo 'make bench   measure rootrun beside its peers (as root); BENCH_ARGS="--repeat 1 --row small-*" less,'
	@echo '             BENCH_ARGS=start parts of a run, BENCH_ARGS=endurance that nothing grows in many,'
	@echo '             BENCH_ARGS=side-by-side several at one time, BENCH_ARGS=layered images of many layers'
	@echo 'make bench-fakeroot   measure the root emulation beside real ids and its peers (as root)'
	@echo 'make vm-images     get kernels and make root file systems for vmtest (network, QEMU, as root)'
	@echo 'make vmtest        boot them: the same layers as of a real root, old kernels, restricted hosts'
	@echo 'make vmtest-short  the part of it that CI runs'
	@echo 'make bench-vm      measure the virtual machine that rootrun replaces beside it'
	@echo 'make torture   hostile archives, failing system calls, kills, crowds of runs (as root)'
	@echo 'make fuzz      look for inputs that break a reader; FUZZ_SECONDS=60 for each, FUZZ_TARGETS="layer config"'
	@echo 'make clean   remove build/'

env: $(STAMP)

$(STAMP): pyproject.toml .ci/environment
	@.ci/environment
	@touch $@

demo: env build/base.tar
	$(BIN)/rootrun --from build/base.tar --script examples/setup.sh -o build/demo.tar
	@echo
	@echo 'The new layer of build/demo.tar:'
	@$(BIN)/python examples/show_layer.py build/demo.tar

build/base.tar: examples/make_base.py $(STAMP)
	$(BIN)/python examples/make_base.py $@

test: env
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: env
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest $(PYTEST_ARGS)

peers:
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $(PEERS)

bench: env
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

bench-fakeroot: env
	$(BIN)/python -m benchmarks fakeroot

torture: env
	$(BIN)/python -m tests.torture $(TORTURE_ARGS)

fuzz: env
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS) $(FUZZ_TARGETS)

vm-images: env
	$(BIN)/python -m vmtests.prepare

vmtest: env
	$(BIN)/python -m pytest vmtests $(PYTEST_ARGS)

vmtest-short: env
	$(BIN)/python -m vmtests.prepare --short
	$(BIN)/python -m pytest vmtests -m "short and not slow" $(PYTEST_ARGS)

bench-vm: env
	$(BIN)/python -m vmtests.bench

clean:
	rm -rf build
