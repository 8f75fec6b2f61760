# UNPROVEN: parsed in the tests, not yet run on Windows.
#
# As linux/bootstrap.py: first.ps1 has fetched it, and gives it the release parameter's value on standard input and the
# instance's id as its argument. It ends with 0, or with 3 after it has told CloudFormation why it failed.
function Unpack([string] $archive, [string] $folder) {
    Add-Type -AssemblyName System.IO.Compression.FileSystem
    $bundle = [System.IO.Compression.ZipFile]::OpenRead($archive)
    try {
        foreach ($entry in $bundle.Entries) {
            $name = $entry.FullName
            $link = (($entry.ExternalAttributes -shr 16) -band 0xF000) -eq 0xA000
            if ($link -or $name -match '[\\:]|^/|(^|/)\.\.(/|$)') {
                throw "the bundle holds '$name', which is outside it or no plain file"
            }
        }
    } finally { $bundle.Dispose() }
    [System.IO.Compression.ZipFile]::ExtractToDirectory($archive, $folder)
}

# Beside, then renamed: the folder of a bundle exists whole or not at all.
function Install-Bundle($item) {
    if (-not $item) { throw 'the bot has no bundle: it was never packed' }
    if ($item.sha256 -cnotmatch '^[0-9a-f]{64}$') { throw "'$($item.sha256)' is no SHA-256" }
    $bundles = Join-Path $root 'bundles'
    $target = Join-Path $bundles $item.sha256
    if (Test-Path -LiteralPath $target) { return }
    $beside = Join-Path $bundles 'unfinished'
    if (Test-Path -LiteralPath $beside) { Remove-Item -LiteralPath $beside -Recurse -Force }
    New-Item -ItemType Directory -Force -Path $beside | Out-Null
    Fetch $item (Join-Path $beside 'bundle.zip')
    Unpack (Join-Path $beside 'bundle.zip') (Join-Path $beside 'tree')
    Move-Item -LiteralPath (Join-Path $beside 'tree') -Destination $target
    Remove-Item -LiteralPath $beside -Recurse -Force
}

# Names come from the manifest, whose SHA-256 the release says; they are plain nevertheless.
function Fetch-Runner($items) {
    $folder = Join-Path $root 'runner-files'
    if (Test-Path -LiteralPath $folder) { Remove-Item -LiteralPath $folder -Recurse -Force }
    New-Item -ItemType Directory -Force -Path $folder | Out-Null
    foreach ($item in $items.PSObject.Properties) {
        if ($item.Name -cnotmatch '^[A-Za-z0-9][A-Za-z0-9._+-]*$') { throw "'$($item.Name)' is no name of a file of the runner" }
        Fetch $item.Value (Join-Path $folder $item.Name)
    }
}

# In a process of its own, so that nothing of it stays behind here.
function Install-Release {
    $env:FACTORY_CDK_ROOT = $root
    $out = Join-Path $root 'install.log'
    $run = "& '$($root.Replace("'", "''"))\install.ps1' *>&1 | Out-File -Encoding utf8 -Width 500 '$($out.Replace("'", "''"))'; exit `$LASTEXITCODE"
    powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -Command $run
    $status = $LASTEXITCODE
    $lines = @(Get-Content -LiteralPath $out -Tail 40)
    foreach ($line in $lines) { Say $line }
    if ($status -ne 0) { throw "the install script ended with $status" }
    if ($lines.Count) { $lines[-1] } else { 'the install script said nothing' }
}

$instance = $args[0]
try {
    $sector = ConvertFrom-Json (Get-Content -LiteralPath (Join-Path $root 'sector.json') -Raw)
    $release = ConvertFrom-Json ([Console]::In.ReadToEnd())
    Step 'manifest'
    $next = Join-Path $root 'next.json'
    $manifest = ConvertFrom-Json (Get-Content -LiteralPath $next -Raw -Encoding UTF8)
    if ($manifest.format -ne 1) { throw "the manifest has format '$($manifest.format)', this instance reads 1" }
    foreach ($bot in $manifest.bots.PSObject.Properties) {
        Step "bundle of $($bot.Name)"
        Install-Bundle $bot.Value.bundle
    }
    Step 'runner'
    Fetch-Runner $manifest.runner
    Step 'install'
    Fetch $manifest.install (Join-Path $root 'install.ps1')
    $said = Install-Release
    Move-Item -Force -LiteralPath $next -Destination (Join-Path $root 'release.json')
    $status = 'SUCCESS'
} catch {
    $status = 'FAILURE'
    Say "step '$script:step' failed: $($_.Exception.Message)"
    $before = $script:log.GetRange(0, $script:log.Count - 1) -join "`n"
    $said = $script:log[-1] + "`nThe log before that:`n" + $before
}
try {
    Step 'signal'
    Tell $release.signal $status $said
    Set-Content -LiteralPath (Join-Path $root 'settled') -Value $env:FACTORY_CDK_MARK
} catch {
    Say "step '$script:step' failed: $($_.Exception.Message)"
    $status = 'FAILURE'
}
if ($status -eq 'SUCCESS') { exit 0 } else { exit 3 }
