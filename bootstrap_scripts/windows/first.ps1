# FROZEN, as linux/first.py is, whose steps these are: runs bootstrap.ps1 of the sector's release when there is something
# to do. The user-data runs it at every boot, a scheduled task every minute.
# IMDSv2 alone: a token first.
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
