# UNPROVEN: parsed and rendered in the tests, not yet run on Windows.
#
# The install script of a release: the user-data runs it as SYSTEM once every bundle of the release is verified and
# unpacked in $env:FACTORY_CDK_ROOT\bundles\<sha256>. It travels with the release (the manifest names it). next.json is
# the manifest of the release that is being installed.
#
# Its last line of output becomes the reason of the signal; any exit status but 0 is a failure. It may be run again.
$ErrorActionPreference = 'Stop'
$runner = 'factory-cdk==0.1.0'

# Step 1: the folder of the runner's environment. Windows has no Python of its own, so nothing is made in it yet.
$venv = Join-Path $env:FACTORY_CDK_ROOT 'runner'
New-Item -ItemType Directory -Force -Path $venv | Out-Null

# Step 2, the boundary: installing Python and the runner, building the bots' environments and starting them is not part
# of this version. What has been done is said, and no more than that.
"prepared: bundles verified and unpacked; $runner is not installed and no bot was started"
exit 0
