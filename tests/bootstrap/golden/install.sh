#!/bin/sh
# The install script of a release: bootstrap.py runs it as root once the runner's files are verified and in
# $FACTORY_CDK_ROOT/runner-files. It travels with the release (the manifest names it), so that it can change without the
# user-data changing. next.json is the manifest of the release that is being installed.
#
# Its last line of output becomes the reason of the signal; any exit status but 0 is a failure. It may be run again.
set -eu
umask 022 # the agent and its bots have users of their own, and run what is installed here
: "${FACTORY_CDK_ROOT:?}" "${FACTORY_CDK_PYTHON:?}"
wheel=factory_cdk-0.1.0-py3-none-any.whl
sha256=5555555555555555555555555555555555555555555555555555555555555555
files=$FACTORY_CDK_ROOT/runner-files
venv=$FACTORY_CDK_ROOT/runner-$sha256
# Of an offline sector: its version of Python, and the SHA-256 of the build of that in runner-files/python.tar.gz, if there
# is one. Empty for all others.
python_version=''
build=''
[ -z "$python_version" ] || venv=$venv-$python_version${build:+-$build}

is_recent() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    for name in "$FACTORY_CDK_PYTHON" python3 python3.13 python3.12 python3.11; do
        if python=$(command -v "$name") && is_recent "$python"; then
            return 0
        fi
    done
    return 1
}

has_version() {
    "$1" -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != sys.argv[1])' "$python_version" >/dev/null 2>&1
}

# Offline, the Python is that of the release or of the image, and nothing is asked of a distribution or an index: the
# wheels are in runner-files/wheels.zip, uv among them, which makes an environment without the image's pip and venv.
find_offline_python() {
    if [ -n "$build" ]; then
        folder=$FACTORY_CDK_ROOT/python-$build
        python=$folder/python/bin/python$python_version
        if ! [ -x "$python" ]; then
            rm -rf "$folder" "$folder.new"
            mkdir "$folder.new"
            tar -xzf "$files/python.tar.gz" --no-same-owner -C "$folder.new"
            chmod -R go+rX "$folder.new"
            mv "$folder.new" "$folder"
        fi
        "$python" -c '' && return 0
        echo "the Python build of the release does not run here: is it for another architecture or libc?"
        return 1
    fi
    for name in "$FACTORY_CDK_PYTHON" "python$python_version" python3; do
        if python=$(command -v "$name") && has_version "$python"; then
            return 0
        fi
    done
    echo "there is no Python $python_version on this image: choose one that has it, or give the sector a python-build"
    return 1
}

unpack_uv() {
    rm -rf "$files/wheels" "$files/uv"
    "$python" -m zipfile -e "$files/wheels.zip" "$files/wheels"
    "$python" -m zipfile -e "$files"/wheels/uv-*.whl "$files/uv"
    for uv in "$files"/uv/uv-*.data/scripts/uv; do
        chmod 755 "$uv"
    done
}

install_python() {
    if command -v dnf >/dev/null; then
        dnf install -y python3.11 python3.11-pip
    elif command -v apt-get >/dev/null; then
        apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3.11 python3.11-venv
    else
        return 1
    fi
}

# Debian's python3 makes no environment with pip until python3-venv is there.
make_environment() {
    rm -rf "$venv"
    "$python" -m venv "$venv" && return 0
    command -v apt-get >/dev/null || return 1
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "python$version-venv"
    rm -rf "$venv"
    "$python" -m venv "$venv"
}

# Step 1: an environment for this runner, beside that of the one before.
if ! [ -e "$venv/complete" ]; then
    if [ -n "$python_version" ]; then
        find_offline_python
    elif ! find_python; then
        echo "step: a Python of 3.11 or newer for the runner"
        if ! install_python || ! find_python; then
            echo "no Python of 3.11 or newer for the runner, and none could be installed: choose an AMI that has one"
            exit 1
        fi
    fi
    echo "runner environment: making $venv with $python"
    if [ -n "$python_version" ]; then
        unpack_uv
        rm -rf "$venv"
        "$uv" venv --quiet --offline --no-config --no-cache --no-project --no-python-downloads --python "$python" "$venv"
    else
        make_environment
    fi

    # Step 2: the runner, which is a file of this release, and what it needs, locked by hash: nothing is installed that an
    # index may have put under a name since.
    requirements=$files/with-runner.txt
    {
        cat "$files/requirements.txt"
        printf 'factory-cdk @ file://%s --hash=sha256:%s\n' "$files/$wheel" "$sha256"
    } >"$requirements"
    if [ -n "$python_version" ]; then
        "$uv" pip install --quiet --offline --no-config --no-cache --no-index --find-links "$files/wheels" \
            --python "$venv/bin/python" --require-hashes --requirement "$requirements"
        rm -rf "$files/wheels" "$files/uv"
    elif command -v uv >/dev/null; then
        uv pip install --quiet --python "$venv/bin/python" --require-hashes --requirement "$requirements"
    else
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --only-binary :all: \
            --require-hashes --requirement "$requirements"
    fi
    : >"$venv/complete"
fi
"$venv/bin/python" -I -c 'import sys, factory_cdk.version as v; print("runner: factory_cdk", v.__version__, "on Python", sys.version.split()[0])'
ln -sfn "$venv" "$FACTORY_CDK_ROOT/runner.new"
mv -T "$FACTORY_CDK_ROOT/runner.new" "$FACTORY_CDK_ROOT/runner"

# Step 3: the agent, which installs the bots and runs them, and tells CloudFormation when they are loaded.
if [ -d /run/systemd/system ]; then
    "$venv/bin/python" -I -m factory_cdk.agent.setup "$FACTORY_CDK_ROOT"
else
    echo "prepared: the runner is installed; without systemd no bot was started"
fi
