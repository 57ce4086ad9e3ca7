#Requires -Version 5.1
#Requires -RunAsAdministrator
<#
.SYNOPSIS
Tries packages of the built-in product on a real Windows, and says of each thing
whether it is as it should be.

.DESCRIPTION
What the tests under Wine cannot prove: see docs/windows.md. It installs, breaks,
upgrades and removes the product, so run it on a machine that is thrown away
afterwards, with nothing of the product on it. It needs no network. Some steps wait a
minute for a server that is not there.

Each line begins with PASS, FAIL or SKIP. The exit code is the number of FAIL lines.

.PARAMETER Package
The package. Its name must stay as it was built.

.PARAMETER Newer
A package of a higher version, for upgrades. Without it these are skipped.

.PARAMETER Rebuilt
A package of the same version with a higher build number.

.PARAMETER Signed
The packages are signed by somebody whom this machine trusts.

.PARAMETER MsiVal
MsiVal2.exe of the Windows SDK, for Microsoft's own rules.

.PARAMETER Cub
darice.cub of the Windows SDK.

.EXAMPLE
.\verify_windows.ps1 -Package illumio-ven-25.2.20-10.win.x64.msi -Newer illumio-ven-25.2.30-5.win.x64.msi
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory = $true)] [string] $Package,
    [string] $Newer,
    [string] $Rebuilt,
    [switch] $Signed,
    [string] $MsiVal = "${env:ProgramFiles(x86)}\MsiVal2\MsiVal2.exe",
    [string] $Cub = "${env:ProgramFiles(x86)}\MsiVal2\darice.cub"
)
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

$name = 'illumio-ven'
$title = 'Illumio VEN'
$program = Join-Path $env:ProgramFiles 'Illumio'
$data = Join-Path $env:ProgramData 'Illumio'
$state = Join-Path $env:ProgramData "vpkg\$name"
$key = "HKLM:\Software\vpkg\$name"
$hookLog = Join-Path $env:windir 'Temp\illumio.log'
$services = 'venAgentMgrSvc', 'venPlatformHandlerSvc', 'venVtapServerSvc', 'venAgentMonitorSvc'
$logs = Join-Path $env:TEMP "verify-$name"
$secret = 'c0de' + [guid]::NewGuid().ToString('N')
$script:failures = 0
$script:runs = 0

function Write-Check([string] $What, [bool] $Good, $Saw) {
    if ($Good) {
        Write-Output "PASS $What"
        return
    }
    $script:failures++
    Write-Output "FAIL ${What}: $(($Saw | Out-String).Trim())"
}

# Invoke-Msi runs the installer without a window and gives its exit code.
function Invoke-Msi([string] $Arguments) {
    $script:runs++
    $script:log = Join-Path $logs "msi$($script:runs).log"
    $p = Start-Process msiexec.exe -ArgumentList "$Arguments /qn /norestart /l*v `"$($script:log)`"" -Wait -PassThru
    return $p.ExitCode
}

function Test-Msi([string] $What, [string] $Arguments, [int[]] $Want = @(0)) {
    $code = Invoke-Msi $Arguments
    Write-Check "$What ends with $($Want -join ' or ')" ($Want -contains $code) "exit code $code, see $($script:log)"
}

function Get-Entry {
    $lists = 'HKLM:\Software\Microsoft\Windows\CurrentVersion\Uninstall\*'
    Get-ItemProperty $lists | Where-Object { $_.PSObject.Properties['DisplayName'] -and $_.DisplayName -eq $title }
}

function Get-Digest([string] $Path) { return (Get-FileHash -LiteralPath $Path -Algorithm SHA256).Hash.ToLowerInvariant() }

# Compare-Record compares the files of the program folder with the record that the
# package brought.
function Compare-Record {
    $record = Get-Content -LiteralPath (Join-Path $program 'etc\layout.json') -Raw | ConvertFrom-Json
    foreach ($e in $record.entries) {
        $path = Join-Path $env:SystemDrive ($e.path -replace '/', '\')
        if ($e.type -eq 'dir') {
            if (-not (Test-Path -LiteralPath $path -PathType Container)) { "$path is missing" }
        } elseif (-not (Test-Path -LiteralPath $path -PathType Leaf)) {
            "$path is missing"
        } elseif ((Get-Digest $path) -ne $e.sha256) {
            "$path differs"
        }
    }
}

# Test-Closed looks at the access list of a folder: only SYSTEM and Administrators,
# nothing inherited, and one of them its owner.
function Test-Closed([string] $Path) {
    $acl = Get-Acl -LiteralPath $Path
    $owner = $acl.GetOwner([System.Security.Principal.SecurityIdentifier]).Value
    Write-Check "$Path is an administrator's" (@('S-1-5-18', 'S-1-5-32-544') -contains $owner) $acl.Sddl
    $rules = $acl.GetAccessRules($true, $true, [System.Security.Principal.SecurityIdentifier])
    $others = @($rules | Where-Object { @('S-1-5-18', 'S-1-5-32-544') -notcontains $_.IdentityReference.Value })
    Write-Check "$Path is closed to others" ($acl.AreAccessRulesProtected -and $others.Count -eq 0) $acl.Sddl
}

# Wait-Services waits a minute for the services to run.
function Wait-Services([string] $When) {
    $until = (Get-Date).AddMinutes(1)
    do {
        $stopped = @($services | Where-Object {
                $s = Get-Service $_ -ErrorAction SilentlyContinue
                -not $s -or $s.Status -ne 'Running'
            })
        if ($stopped.Count -eq 0) { break }
        Start-Sleep -Seconds 1
    } while ((Get-Date) -lt $until)
    Write-Check "all services run $When" ($stopped.Count -eq 0) "these do not: $stopped"
}

function Test-Services {
    foreach ($s in $services) {
        $component = $s -replace 'Svc$', ''
        $v = Get-ItemProperty "HKLM:\System\CurrentControlSet\Services\$s"
        $want = "`"$program\bin\vpkg-agent.exe`" component $component"
        Write-Check "$s has a quoted path" ($v.ImagePath -eq $want) $v.ImagePath
        Write-Check "$s starts by itself as LocalSystem" ($v.Start -eq 2 -and $v.ObjectName -eq 'LocalSystem') "$($v.Start), $($v.ObjectName)"
        $delayed = $v.PSObject.Properties['DelayedAutostart'] -and $v.DelayedAutostart -eq 1
        Write-Check "$s starts delayed or not, as it is to" ($delayed -eq ($s -eq 'venAgentMonitorSvc')) "delayed: $delayed"
        # The words of sc are in the language of the system, the numbers are not.
        $failure = (& sc.exe qfailure $s) -join "`n"
        $good = $failure -match '\b86400\b' -and $failure -match '\b1000\b' -and $failure -match '\b10000\b' -and $failure -match '\b60000\b'
        Write-Check "$s is started again after 1, 10 and 60 s when it fails" $good $failure
        $flag = $v.PSObject.Properties['FailureActionsOnNonCrashFailures'] -and $v.FailureActionsOnNonCrashFailures -eq 1
        Write-Check "an exit of $s with an error is a failure" $flag ((& sc.exe qfailureflag $s) -join "`n")
    }
    $p = (Get-CimInstance Win32_Service -Filter "Name='venVtapServerSvc'").ProcessId
    Stop-Process -Id $p -Force
    Start-Sleep -Seconds 5
    Write-Check 'a killed service is started again' ((Get-Service venVtapServerSvc).Status -eq 'Running') (Get-Service venVtapServerSvc).Status
}

function Test-Installed([string] $When, [string] $File) {
    $different = @(Compare-Record)
    Write-Check "files are as the record says $When" ($different.Count -eq 0) $different
    $entries = @(Get-Entry)
    Write-Check "there is one entry in the list of programs $When" ($entries.Count -eq 1) $entries
    $v = Get-ItemProperty $key
    $want = [IO.Path]::GetFileName($File)
    Write-Check "the registry has the version $When" ($want -like "$name-$($v.Version)-$($v.Build).*") "$($v.Version)-$($v.Build)"
    Wait-Services $When
}

function Test-Gone([string] $When) {
    Write-Check "the program folder is gone $When" (-not (Test-Path -LiteralPath $program)) (Get-ChildItem -LiteralPath $program -Recurse -ErrorAction SilentlyContinue)
    Write-Check "the entry in the list of programs is gone $When" (@(Get-Entry).Count -eq 0) (Get-Entry)
    Write-Check "the registry key is gone $When" (-not (Test-Path $key)) $key
    $left = @($services | Where-Object { Get-Service $_ -ErrorAction SilentlyContinue })
    Write-Check "the services are gone $When" ($left.Count -eq 0) $left
}

# Get-Witness gives the files that could have the code in them.
function Get-Witness {
    Get-ChildItem -LiteralPath $logs -File | ForEach-Object FullName
    $hookLog
    Get-ChildItem -LiteralPath $data, $program, $state -Recurse -File | ForEach-Object FullName
}

function Test-Secret {
    # The service goes on trying, so it has the code, in a file that others cannot read.
    $waiting = Join-Path $data 'etc\activation_code'
    $found = @(Get-Witness | Where-Object { $_ -ne $waiting } | Where-Object {
            $stream = [IO.File]::Open($_, 'Open', 'Read', 'ReadWrite,Delete')
            try {
                $copy = New-Object IO.MemoryStream
                $stream.CopyTo($copy)
            } finally {
                $stream.Dispose()
            }
            $bytes = $copy.ToArray()
            [Text.Encoding]::ASCII.GetString($bytes).Contains($secret) -or [Text.Encoding]::Unicode.GetString($bytes).Contains($secret)
        })
    Write-Check 'the activation code is in no log and no file' ($found.Count -eq 0) $found
    Write-Check 'the log has asterisks in its place' ((Get-Content -LiteralPath $script:log -Raw) -match 'ACTIVATION_CODE\s*=?\s*\*+') $script:log
    $events = @(Get-WinEvent -FilterHashtable @{ LogName = 'Application'; ProviderName = 'MsiInstaller' } -MaxEvents 50 -ErrorAction SilentlyContinue | Where-Object { $_.Message -like "*$secret*" })
    Write-Check 'the activation code is not in the event log' ($events.Count -eq 0) $events
}

# --- What can be said of the files alone

New-Item -ItemType Directory -Force -Path $logs | Out-Null
$Package = (Resolve-Path -LiteralPath $Package).Path
if ($Newer) { $Newer = (Resolve-Path -LiteralPath $Newer).Path }
if ($Rebuilt) { $Rebuilt = (Resolve-Path -LiteralPath $Rebuilt).Path }
if (@(Get-Entry).Count -ne 0 -or (Test-Path -LiteralPath $program) -or (Test-Path -LiteralPath $data)) {
    Write-Output "FAIL $title, or something of it, is on this machine: it is not one to try packages on"
    exit 1
}
Write-Output "$([Environment]::OSVersion.VersionString), PowerShell $($PSVersionTable.PSVersion), logs in $logs"

foreach ($file in @($Package, $Newer, $Rebuilt | Where-Object { $_ })) {
    $signature = Get-AuthenticodeSignature -LiteralPath $file
    $want = if ($Signed) { 'Valid' } else { 'NotSigned' }
    Write-Check "the signature of $([IO.Path]::GetFileName($file)) is $want" ("$($signature.Status)" -eq $want) $signature.StatusMessage
    if ((Test-Path -LiteralPath $MsiVal) -and (Test-Path -LiteralPath $Cub)) {
        $said = @(& $MsiVal $file $Cub -f)
        # ICE61 warns of the build of the same version that is an upgrade: docs/adr/0016-own-msi-writer.md.
        Write-Check "Microsoft's rules find no error" (@($said | Where-Object { $_ -match '\bERROR\b' }).Count -eq 0) $said
        $said | Where-Object { $_ -match '\bWARNING\b' } | ForEach-Object { Write-Output "     $_" }
    } else {
        Write-Output "SKIP Microsoft's rules: there is no $MsiVal with darice.cub, which the Windows SDK brings"
    }
}

# --- What is refused leaves nothing

Set-Content -LiteralPath $data -Value 'a file'
Test-Msi 'an installation with a file in the place of the data folder' "/i `"$Package`"" @(1603)
Test-Gone 'after it'
Remove-Item -LiteralPath $data
New-Item -ItemType Directory -Path $data | Out-Null
Set-Content -LiteralPath (Join-Path $data 'planted') -Value 'planted'
& icacls.exe $data /setowner '*S-1-5-32-546' /t /q | Out-Null # Guests
Test-Msi "an installation with a user's data folder" "/i `"$Package`"" @(1603)
Test-Gone 'after it'
Remove-Item -LiteralPath $data -Recurse -Force

# --- Installing, with a code that must be seen nowhere

Test-Msi 'the installation' "/i `"$Package`" MANAGEMENT_SERVER=127.0.0.1:9 ACTIVATION_CODE=$secret" @(0, 3010)
Test-Secret
Test-Installed 'after the installation' $Package
Test-Services
Test-Closed $data
Test-Closed (Join-Path $data 'etc')
foreach ($file in @('bin\vpkg-hook.exe', 'bin\vpkg-agent.exe', "$name-ctl.exe")) {
    $path = Join-Path $program $file
    $want = if ($Signed) { 'Valid' } else { 'NotSigned' }
    $signature = Get-AuthenticodeSignature -LiteralPath $path
    Write-Check "the signature of $file is $want" ("$($signature.Status)" -eq $want) $signature.StatusMessage
    $version = (Get-Item -LiteralPath $path).VersionInfo
    Write-Check "$file says its version" ($version.FileVersion -and $version.ProductName -eq $title) "$($version.FileVersion), $($version.ProductName)"
}

# --- Repair

$mine = Join-Path $data 'etc\mine'
Set-Content -LiteralPath $mine -Value 'kept'
Set-Content -LiteralPath (Join-Path $program "$name-ctl.exe") -Value 'a program no more'
Remove-Item -LiteralPath (Join-Path $program 'etc\hook.json')
Test-Msi 'a repair' "/fvomus `"$Package`"" @(0, 3010)
Test-Installed 'after a repair' $Package
# A file without a version that somebody has changed is taken for theirs, but with a.
Set-Content -LiteralPath (Join-Path $program 'etc\agent_version') -Value 'changed'
Test-Msi 'a repair of everything' "/fvamus `"$Package`"" @(0, 3010)
Test-Installed 'after a repair of everything' $Package
Write-Check 'data stays in a repair' ((Get-Content -LiteralPath $mine) -eq 'kept') $mine

# --- Upgrades

$installed = $Package
foreach ($file in @($Rebuilt, $Newer | Where-Object { $_ })) {
    $what = [IO.Path]::GetFileName($file)
    # The new version cannot have its data there, and finds it out when the old one is
    # gone already.
    $obstacle = Join-Path $logs 'obstacle'
    Set-Content -LiteralPath $obstacle -Value 'a file'
    Test-Msi "an upgrade to $what that fails" "/i `"$file`" DATAFOLDER=`"$obstacle`"" @(1603)
    $removed = (Get-Content -LiteralPath $script:log -Raw) -match 'UPGRADINGPRODUCTCODE'
    Write-Check 'it fails after the old version was removed' $removed $script:log
    Test-Installed "after an upgrade to $what that failed" $installed

    $before = @(Get-Content -LiteralPath $hookLog).Count
    Test-Msi "an upgrade to $what" "/i `"$file`"" @(0, 3010)
    Test-Installed "after an upgrade to $what" $file
    Write-Check 'data stays in an upgrade' ((Get-Content -LiteralPath $mine) -eq 'kept') $mine
    Test-Closed $data
    # The removed version is told by UPGRADINGPRODUCTCODE that it is no removal.
    $called = @(Get-Content -LiteralPath $hookLog | Select-Object -Skip $before | Where-Object { $_ -match 'msg=called' -and $_ -match 'pre-remove|post-remove' })
    Write-Check "the old version's hook takes no leave in an upgrade" ($called.Count -eq 0) $called

    Test-Msi "a downgrade from $what" "/i `"$installed`"" @(1603)
    Write-Check 'the log says why a downgrade is refused' ((Get-Content -LiteralPath $script:log -Raw) -match 'Remove it first to install') $script:log
    Test-Installed "after a downgrade from $what that was refused" $file
    $installed = $file
}
if ($installed -eq $Package) { Write-Output 'SKIP upgrades: there is neither -Newer nor -Rebuilt' }

# --- Removing

Test-Msi 'a removal' "/x `"$installed`"" @(0, 3010)
Test-Gone 'after a removal'
Write-Check 'data stays in a removal' ((Test-Path -LiteralPath $mine) -and (Get-Content -LiteralPath $mine) -eq 'kept') $mine
Test-Msi 'a second removal' "/x `"$installed`"" @(1605)

Test-Msi 'a second installation' "/i `"$installed`"" @(0, 3010)
Test-Installed 'after a second installation' $installed
Test-Msi 'a removal with the data' "/x `"$installed`" REMOVEDATA=1" @(0, 3010)
Test-Gone 'after a removal with the data'
foreach ($folder in @($data, $state)) {
    Write-Check "$folder is gone with REMOVEDATA=1" (-not (Test-Path -LiteralPath $folder)) (Get-ChildItem -LiteralPath $folder -Recurse -ErrorAction SilentlyContinue)
}

# The last, for the file goes when the machine starts again.
Test-Msi 'a third installation' "/i `"$installed`"" @(0, 3010)
$held = [IO.File]::Open((Join-Path $program 'etc\agent_version'), 'Open', 'Read', 'Read')
Test-Msi 'a removal while a file is in use' "/x `"$installed`"" @(3010)
$held.Dispose()

Write-Output "$($script:failures) failed"
exit $script:failures
