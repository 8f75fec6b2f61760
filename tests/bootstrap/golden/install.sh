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
    if ! find_python; then
        echo "step: a Python of 3.11 or newer for the runner"
        if ! install_python || ! find_python; then
            echo "no Python of 3.11 or newer for the runner, and none could be installed: choose an AMI that has one"
            exit 1
        fi
    fi
    echo "runner environment: making $venv with $python"
    make_environment

    # Step 2: the runner, which is a file of this release, and what it needs, locked by hash: nothing is installed that an
    # index may have put under a name since.
    requirements=$files/with-runner.txt
    {
        cat "$files/requirements.txt"
        printf 'factory-cdk @ file://%s --hash=sha256:%s\n' "$files/$wheel" "$sha256"
    } >"$requirements"
    if command -v uv >/dev/null; then
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
