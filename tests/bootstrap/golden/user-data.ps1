<powershell>
$sector = ConvertFrom-Json '{"factory": "my_factory_name", "gate_parameter": "/factory-cdk/my-factory-name/dev/ec2_box_1/gate", "log_group": "/factory-cdk/my_factory_name/dev/ec2_box_1", "parameters_path": "/factory-cdk/my-factory-name/dev/ec2_box_1/", "region": "eu-west-2", "release_parameter": "/factory-cdk/my-factory-name/dev/ec2_box_1/release", "sector": "ec2_box_1", "stage": "dev"}'

$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$root = Join-Path $env:ProgramData 'factory-cdk'
$patience = 120
$script:step = 'start'
$script:log = New-Object 'System.Collections.Generic.List[string]'
$release = $null
$instance = $null

function Say([string] $text) {
    if ($release -and $release.signal) { $text = $text.Replace($release.signal, '***') }
    $script:log.Add($text)
    Write-Host "factory-cdk: $text"
}

function Step([string] $name) {
    $script:step = $name
    Say "step: $name"
}

function Patiently([string] $what, [scriptblock] $attempt) {
    $end = (Get-Date).AddSeconds($patience)
    $pause = 1
    while ($true) {
        try { return (& $attempt) }
        catch { $problem = "${what}: $($_.Exception.Message)" }
        if ((Get-Date).AddSeconds($pause) -gt $end) { throw $problem }
        Say "$problem; trying again"
        Start-Sleep -Seconds $pause
        $pause = [Math]::Min(2 * $pause, 20)
    }
}

function Metadata([string] $path) {
    $service = 'http://169.254.169.254/latest'
    $ttl = @{ 'X-aws-ec2-metadata-token-ttl-seconds' = '300' }
    $token = Invoke-RestMethod -Method Put -Uri "$service/api/token" -Headers $ttl -TimeoutSec 20
    Invoke-RestMethod -Uri "$service/meta-data/$path" -Headers @{ 'X-aws-ec2-metadata-token' = $token } -TimeoutSec 20
}

function Fetch($item, [string] $path) {
    $what = "s3://$($release.bucket)/$($item.key)"
    Patiently $what {
        Read-S3Object -BucketName $release.bucket -Key $item.key -File $path -Region $sector.region
    } | Out-Null
    $digest = (Get-FileHash -LiteralPath $path -Algorithm SHA256).Hash.ToLowerInvariant()
    if ($digest -cne $item.sha256) { throw "$what has SHA-256 $digest, the release says $($item.sha256)" }
}

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

function Report([string] $status, [string] $reason) {
    Step 'signal'
    if (-not $release) {
        Say 'no release was read, so there is no wait handle to signal'
        return
    }
    $sha = [System.Security.Cryptography.SHA256]::Create()
    $mark = [BitConverter]::ToString($sha.ComputeHash([Text.Encoding]::UTF8.GetBytes($release.signal)))
    $told = Join-Path $root 'signalled'
    if ((Test-Path -LiteralPath $told) -and (Get-Content -LiteralPath $told) -eq $mark) {
        Say 'signalled before'
        return
    }
    $reason = $reason -replace '[^\x20-\x7e\n]', '?'
    $tail = [Math]::Min($reason.Length, 3000)
    do {
        $text = if ($tail -ge $reason.Length) { $reason } else { $reason.Substring(0, 300) + "`n...`n" + $reason.Substring($reason.Length - $tail) }
        $body = ConvertTo-Json -Compress @{ Status = $status; Reason = $text; UniqueId = $instance; Data = $release.release }
        $tail -= 100
    } while ($body.Length -gt 4096)
    Say $status
    Patiently 'wait handle' { Invoke-RestMethod -Method Put -Uri $release.signal -Body $body -TimeoutSec 20 } | Out-Null
    Set-Content -LiteralPath $told -Value $mark
}

New-Item -ItemType Directory -Force -Path $root | Out-Null
icacls.exe $root /inheritance:r /grant '*S-1-5-18:(OI)(CI)F' '*S-1-5-32-544:(OI)(CI)F' | Out-Null
try {
    Set-Content -LiteralPath (Join-Path $root 'sector.json') -Value (ConvertTo-Json $sector)
    Step 'instance metadata'
    $instance = Patiently 'instance metadata' { Metadata 'instance-id' }
    Step 'release'
    $release = Patiently $sector.release_parameter {
        ConvertFrom-Json (Get-SSMParameter -Name $sector.release_parameter -Region $sector.region).Value
    }
    Step 'manifest'
    $next = Join-Path $root 'next.json'
    Fetch $release $next
    $manifest = ConvertFrom-Json (Get-Content -LiteralPath $next -Raw -Encoding UTF8)
    if ($manifest.format -ne 1) { throw "the manifest has format '$($manifest.format)', this instance reads 1" }
    foreach ($bot in $manifest.bots.PSObject.Properties) {
        Step "bundle of $($bot.Name)"
        Install-Bundle $bot.Value.bundle
    }
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
try { Report $status $said } catch { Say "step '$script:step' failed: $($_.Exception.Message)" }
</powershell>
<persist>true</persist>
