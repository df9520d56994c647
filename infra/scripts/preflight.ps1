# Looks for what would stop the deployment. azd runs it before it creates resources. It can be run at any time.
$ErrorActionPreference = 'Stop'
foreach ($python in @('python', 'python3', 'py')) {
    if (Get-Command $python -ErrorAction SilentlyContinue) {
        & $python (Join-Path $PSScriptRoot 'preflight.py') @args
        exit $LASTEXITCODE
    }
}
Write-Error 'This needs Python 3.9 or newer, but there is no Python on PATH.'
exit 1
