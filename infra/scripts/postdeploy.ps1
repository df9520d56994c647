# Connects the events and tests the deployment. azd runs it after each deployment. It can be run again at any time, with
# the arguments of postdeploy.py: ./infra/scripts/postdeploy.ps1 prove
$ErrorActionPreference = 'Stop'
foreach ($python in @('python', 'python3', 'py')) {
    if (Get-Command $python -ErrorAction SilentlyContinue) {
        & $python (Join-Path $PSScriptRoot 'postdeploy.py') @args
        exit $LASTEXITCODE
    }
}
Write-Error 'This needs Python 3.9 or newer, but there is no Python on PATH.'
exit 1
