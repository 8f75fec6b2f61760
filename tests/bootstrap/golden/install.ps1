# UNPROVEN: parsed and rendered in the tests, not yet run on Windows.
#
# The install script of a release: the user-data runs it as SYSTEM once every bundle of the release is verified and
# unpacked in $env:FACTORY_CDK_ROOT\bundles\<sha256>, and the runner's files are in $env:FACTORY_CDK_ROOT\runner-files. It travels with the release (the manifest names it). next.json is
# the manifest of the release that is being installed.
#
# Its last line of output becomes the reason of the signal; any exit status but 0 is a failure. It may be run again.
$ErrorActionPreference = 'Stop'
$wheel = 'factory_cdk-0.1.0-py3-none-any.whl'
$sha256 = '5555555555555555555555555555555555555555555555555555555555555555'

# Step 1: the runner's file is the one that the release names. Windows has no Python of its own, so it is not installed.
$found = (Get-FileHash -LiteralPath (Join-Path $env:FACTORY_CDK_ROOT "runner-files\$wheel") -Algorithm SHA256).Hash.ToLowerInvariant()
if ($found -cne $sha256) { "the runner's wheel has SHA-256 $found, the release says $sha256"; exit 1 }

# Step 2, the boundary: installing Python and the runner, building the bots' environments and starting them is not part
# of this version. What has been done is said, and no more than that.
"prepared: bundles verified and unpacked; the runner is not installed and no bot was started"
exit 0
