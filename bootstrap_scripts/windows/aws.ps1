# What first.ps1 and bootstrap.ps1 share; with first.ps1 it is frozen in user-data (see there).
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$root = Join-Path $env:ProgramData 'factory-cdk'
$patience = 120
$script:step = 'start'
$script:log = New-Object 'System.Collections.Generic.List[string]'
$release = $null
$instance = $null

function Say([string] $text) {
    foreach ($secret in @($release.signal, $release.booted)) { if ($secret) { $text = $text.Replace($secret, '***') } }
    $script:log.Add($text)
    Write-Host "factory-cdk: $text"
}

function Step([string] $name) {
    $script:step = $name
    Say "step: $name"
}

# Anything may fail for a while on an instance this young, so everything is tried again.
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

function Fetch($item, [string] $path) {
    $what = "s3://$($release.bucket)/$($item.key)"
    Patiently $what {
        Read-S3Object -BucketName $release.bucket -Key $item.key -File $path -Region $sector.region
    } | Out-Null
    $digest = (Get-FileHash -LiteralPath $path -Algorithm SHA256).Hash.ToLowerInvariant()
    if ($digest -cne $item.sha256) { throw "$what has SHA-256 $digest, the release says $($item.sha256)" }
}

# A wait condition takes 4,096 bytes. The request has no Content-Type: the handle's URL is signed without one, and
# Windows PowerShell adds one to POST only. One signal for one handle, so what was told is remembered.
function Tell([string] $url, [string] $status, [string] $reason) {
    $sha = [System.Security.Cryptography.SHA256]::Create()
    $mark = [BitConverter]::ToString($sha.ComputeHash([Text.Encoding]::UTF8.GetBytes($url)))
    $told = Join-Path $root 'signalled'
    if ((Test-Path -LiteralPath $told) -and @(Get-Content -LiteralPath $told) -contains $mark) {
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
    try {
        Patiently 'wait handle' { Invoke-RestMethod -Method Put -Uri $url -Body $body -TimeoutSec 20 } | Out-Null
    } catch {
        if ("$_" -notmatch '403') { throw }
        Say 'the wait handle takes no signal any more: its URL has expired'
    }
    Add-Content -LiteralPath $told -Value $mark
}
