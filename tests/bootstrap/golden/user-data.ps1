<powershell>
$sector = ConvertFrom-Json '{"factory": "my_factory_name", "gate_parameter": "/factory-cdk/my-factory-name/dev/ec2_box_1/gate", "log_group": "/factory-cdk/my_factory_name/dev/ec2_box_1", "parameters_path": "/factory-cdk/my-factory-name/dev/ec2_box_1/", "region": "eu-west-2", "release_parameter": "/factory-cdk/my-factory-name/dev/ec2_box_1/release", "sector": "ec2_box_1", "stage": "dev"}'

$root = Join-Path $env:ProgramData 'factory-cdk'
New-Item -ItemType Directory -Force -Path $root | Out-Null
icacls.exe $root /inheritance:r /grant '*S-1-5-18:(OI)(CI)F' '*S-1-5-32-544:(OI)(CI)F' | Out-Null
Set-Content -LiteralPath (Join-Path $root 'sector.json') -Value (ConvertTo-Json $sector)
$program = Join-Path $root 'first.ps1'
Set-Content -LiteralPath $program -Value @'
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
function Metadata([string] $path) {
    $service = 'http://169.254.169.254/latest'
    $ttl = @{ 'X-aws-ec2-metadata-token-ttl-seconds' = '300' }
    $token = Invoke-RestMethod -Method Put -Uri "$service/api/token" -Headers $ttl -TimeoutSec 20
    Invoke-RestMethod -Uri "$service/meta-data/$path" -Headers @{ 'X-aws-ec2-metadata-token' = $token } -TimeoutSec 20
}
New-Item -ItemType Directory -Force -Path $root | Out-Null
try {
    $sector = ConvertFrom-Json (Get-Content -LiteralPath (Join-Path $root 'sector.json') -Raw)
    $script:step = 'instance metadata'
    $instance = Patiently 'instance metadata' { Metadata 'instance-id' }
    $script:step = 'release'
    $text = Patiently $sector.release_parameter {
        (Get-SSMParameter -Name $sector.release_parameter -Region $sector.region).Value
    }
    $release = ConvertFrom-Json $text
    $boot = (Get-CimInstance -ClassName Win32_OperatingSystem).LastBootUpTime.ToFileTimeUtc()
    $bytes = [Text.Encoding]::UTF8.GetBytes("$boot $text")
    $env:FACTORY_CDK_MARK = [BitConverter]::ToString([System.Security.Cryptography.SHA256]::Create().ComputeHash($bytes))
    $settled = Join-Path $root 'settled'
    if ((Test-Path -LiteralPath $settled) -and (Get-Content -LiteralPath $settled) -eq $env:FACTORY_CDK_MARK) { exit 0 }
    if ($release.booted) { Tell $release.booted 'SUCCESS' 'the instance is up and reads its release' }
    Step 'manifest'
    Fetch $release (Join-Path $root 'next.json')
    $manifest = ConvertFrom-Json (Get-Content -LiteralPath (Join-Path $root 'next.json') -Raw -Encoding UTF8)
    Step 'bootstrap'
    $program = Join-Path $root 'bootstrap.ps1'
    Fetch $manifest.bootstrap $program
    $text | powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -File $program $instance
    if ($LASTEXITCODE -notin 0, 3) { throw "bootstrap.ps1 ended with $LASTEXITCODE" }
    exit $LASTEXITCODE
} catch {
    Say "step '$script:step' failed: $($_.Exception.Message)"
    $before = $script:log.GetRange(0, $script:log.Count - 1) -join "`n"
    $said = $script:log[-1] + "`nThe log before that:`n" + $before
}
try { if ($release) { Tell $release.signal 'FAILURE' $said } } catch { Say "signal failed: $($_.Exception.Message)" }
exit 1
'@
schtasks.exe /Create /F /TN factory-cdk /SC MINUTE /MO 1 /RU SYSTEM /TR "powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -File `"$program`"" | Out-Null
powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -File $program
</powershell>
<persist>true</persist>
