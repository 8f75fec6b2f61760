#!/bin/sh
# The install script of a release: bootstrap.py runs it as root once every bundle of the release is verified and
# unpacked in $FACTORY_CDK_ROOT/bundles/<sha256>. It travels with the release (the manifest names it), so that it can
# change without the user-data changing. next.json is the manifest of the release that is being installed.
#
# Its last line of output becomes the reason of the signal; any exit status but 0 is a failure. It may be run again.
set -eu
umask 077
: "${FACTORY_CDK_ROOT:?}" "${FACTORY_CDK_PYTHON:?}"
runner=factory-cdk==0.1.0
venv=$FACTORY_CDK_ROOT/runner

# Step 1: an environment of its own for the runner, made with what every platform's Python has (Debian's has no pip).
if ! "$venv/bin/python" -c '' 2>/dev/null; then
    echo "runner environment: making $venv"
    rm -rf "$venv"
    "$FACTORY_CDK_PYTHON" -m venv --without-pip "$venv"
fi
"$venv/bin/python" -c 'import sys; print("runner environment: Python", sys.version.split()[0])'

# Step 2, the boundary: putting the runner into that environment, building the bots' environments and starting them is
# not part of this version. What has been done is said, and no more than that.
echo "prepared: bundles verified and unpacked, runner environment made; $runner is not installed and no bot was started"
