# pair.ps1 - installs {{.Product}} {{.Version}} on this machine and pairs it with its server.
#
# The server made it for one release of the product. Nothing happens before the last
# line, so that a download that was cut off does nothing. "pair.ps1 -help" tells what it
# takes and how it ends. It has no param block: names of parameters have no hyphens.

$product = {{ps .Product}}
$release = {{ps .Version}}
$api = {{.API}}
$profileId = {{if .Profile}}{{.Profile}}{{else}}''{{end}}

# The packages of the release: architecture, file, bytes, SHA-256.
$images = @(
{{- range .Images}}
    ,@({{ps .Arch}}, {{ps .FileName}}, {{.Size}}, {{ps .SHA256}})
{{- end}}
)

# The options that the installed agent takes too.
$agentOptions = 'enforcement-mode', 'role', 'app', 'env', 'loc', 'proxy-server', 'ca-file'

$usage = @'
Usage: pair.ps1 -management-server HOST:PORT -activation-code CODE [OPTION...]

Installs the VEN on this machine and pairs it with its server.

  -management-server HOST:PORT  the server
  -activation-code CODE         the code, which others on this machine may see
  -activation-code-file FILE    the code is in the file
  -enforcement_mode MODE        idle, visibility_only, selective or full
  -role -app -env -loc LABEL    labels
  -proxy-server HOST:PORT       an HTTP proxy on the way to the server
  -ca-file FILE                 trust these authorities, PEM, for the agent
  -version RELEASE              install this release
  -dry-run                      look at everything and change nothing
  -help                         print this

A value can also be given as -option:VALUE. What happens is written to
%windir%\temp\illumio.log, or %tmp%\illumio.log, without the code.

Exit status, in $LASTEXITCODE:
   0  the VEN is paired, or was already
   2  the command line is wrong
   3  not run as an administrator
   4  there is no package for this system
   6  not enough space on the disk
   7  the clock is wrong
   8  the server's certificate is not trusted
   9  the server cannot be reached
  10  remains of an earlier installation are in the way
  11  the package could not be downloaded
  12  the package is not the one that the server announced
  13  Windows Installer could not install it
  15  what was installed does not work
  16  it could not be started
  17  the activation code was refused
  18  pairing failed for another reason
  19  paired, but not everything runs yet
  20  the server does not have the release that -version names
If the installation fails (11 to 16, Ctrl+C) it is taken back.
'@

$script:code = ''
$script:log = ''
$script:work = ''
$script:problems = @()
$script:installing = $false
$script:upgrading = ''
$script:installer = $null

function Hide([string]$text) {
    if ($script:code) { $text = $text.Replace($script:code, '[redacted]') }
    $text
}

function Note([string]$text) {
    if (-not $script:log) { return }
    $line = [DateTime]::UtcNow.ToString('yyyy-MM-ddTHH:mm:ssZ', [Globalization.CultureInfo]::InvariantCulture) + ' ' + (Hide $text) + "`r`n"
    # Others may have the file open for a moment.
    for ($n = 1; $n -le 3; $n++) { try { [IO.File]::AppendAllText($script:log, $line); return } catch { Start-Sleep -Milliseconds 100 } }
}

function Say([string]$text) {
    Note $text
    [Console]::Out.WriteLine((Hide $text))
}

function Complain([string]$text) {
    Note $text
    [Console]::Error.WriteLine((Hide $text))
}

# Fail ends the script: Main has a handler, which cleans up.
function Fail([int]$status, [string]$text) {
    $e = New-Object System.Exception $text
    $e.Data['status'] = $status
    throw $e
}

# Problem notes something that stands in the way; the first one is the exit status.
function Problem([int]$status, [string]$text) {
    $script:problems += ,@($status, $text)
}

# Options reads the command line. A name that ends in a colon is how PowerShell gives
# "-name:value" on.
function Options([object[]]$words) {
    $o = @{}
    $values = $agentOptions + @('management-server', 'activation-code', 'activation-code-file', 'version')
    for ($i = 0; $i -lt $words.Count; $i++) {
        # What is not an option is not repeated: it may be the code.
        if (-not ($words[$i] -is [string]) -or -not $words[$i].StartsWith('-')) { Fail 2 'only options are taken; see pair.ps1 -help' }
        $name = $words[$i].TrimStart('-').TrimEnd(':').Replace('_', '-').ToLowerInvariant()
        if ($name -eq 'help' -or $name -eq 'h' -or $name -eq 'dry-run') { $o[$name] = $true; continue }
        if ($values -notcontains $name) { Fail 2 'there is no such option; see pair.ps1 -help' }
        if ($o.ContainsKey($name)) { Fail 2 "-$name is there twice" }
        $joined = $words[$i].EndsWith(':')
        $i++
        $value = ''
        if ($i -lt $words.Count) { $value = $words[$i] }
        # PowerShell has read a list where there are commas, and a number without its zeros.
        if (-not ($value -is [string])) { Fail 2 "-${name}: put the value in single quotes" }
        if ($value -eq '' -or ($value.StartsWith('-') -and -not $joined)) { Fail 2 "-$name wants a value; one that begins with - is given as -${name}:VALUE" }
        if ($value -match '[\x00-\x1f\x7f]' -or $value.Length -gt 1024 -or $value -ne $value.Trim()) { Fail 2 "-$name has a value that cannot be used" }
        $o[$name] = $value
    }
    $o
}

# IsAddress takes HOST:PORT, with an IPv6 address in brackets.
function IsAddress([string]$text) {
    if ($text.Contains('..') -or -not ("https://$text/" -as [Uri])) { return $false }
    ($text -match '^(\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*\]|[A-Za-z0-9][A-Za-z0-9._-]*):([1-9][0-9]{0,4})$') -and ([int]$matches[2] -le 65535)
}

function CheckOptions($o) {
    if (-not $o['management-server']) { Fail 2 'which server? give -management-server HOST:PORT' }
    foreach ($name in 'management-server', 'proxy-server') {
        if ($o[$name] -and -not (IsAddress $o[$name])) { Fail 2 "-$name wants HOST:PORT, without https://" }
    }
    if ($o['enforcement-mode'] -and ('idle', 'visibility_only', 'selective', 'full' -cnotcontains $o['enforcement-mode'])) {
        Fail 2 '-enforcement_mode wants idle, visibility_only, selective or full'
    }
    if ($o['version'] -and ($o['version'] -notmatch '^[A-Za-z0-9][A-Za-z0-9.+~_-]*$')) { Fail 2 "-version wants a release such as $release" }
    foreach ($name in 'role', 'app', 'env', 'loc') {
        # Windows PowerShell loses them in the arguments of programs.
        if ($o[$name] -and ($o[$name].Contains('"') -or $o[$name].EndsWith('\'))) { Fail 2 "-$name cannot have a double quote, or a backslash at its end: set it in the profile" }
    }
    if ($o['activation-code'] -and $o['activation-code-file']) { Fail 2 'give -activation-code or -activation-code-file, not both' }
    if ($o['activation-code']) { $script:code = $o['activation-code'] }
    if ($o['activation-code-file']) {
        try { $script:code = [IO.File]::ReadAllText((Resolve-Path -LiteralPath $o['activation-code-file']).ProviderPath).Trim() }
        catch { Fail 2 '-activation-code-file cannot be read' }
    }
    if (-not $script:code -and -not $o['dry-run']) { Fail 2 'there is no activation code: give -activation-code-file FILE or -activation-code CODE' }
    if ($script:code -notmatch '^[!-~]*$') { Fail 2 'the activation code is not one word' }
}

# Registered is what Windows Installer has left of the product, in the 64-bit view also
# where this PowerShell has 32 bits. Folders are the usual ones where it says nothing.
function Registered {
    $programs = $env:ProgramW6432
    if (-not $programs) { $programs = $env:ProgramFiles }
    $found = @{ InstallFolder = [IO.Path]::Combine($programs, 'Illumio'); DataFolder = [IO.Path]::Combine($env:ProgramData, 'Illumio') }
    $base = [Microsoft.Win32.RegistryKey]::OpenBaseKey([Microsoft.Win32.RegistryHive]::LocalMachine, [Microsoft.Win32.RegistryView]::Registry64)
    $key = $base.OpenSubKey('Software\vpkg\' + $product)
    if ($key) {
        foreach ($name in 'InstallFolder', 'DataFolder', 'Version', 'Build', 'ProductCode') {
            $value = [string]$key.GetValue($name)
            if ($value) { $found[$name] = $value }
        }
        $key.Close()
    }
    $found.Release = ''
    if ($found.Version) { $found.Release = $found.Version + '-' + $found.Build }
    $found.Program = [IO.Path]::Combine($found.InstallFolder, 'illumio-ven-ctl.exe')
    $found
}

# PairedWith is the server that the machine is paired with, or nothing.
function PairedWith($there) {
    $id = New-Object IO.FileInfo ([IO.Path]::Combine($there.DataFolder, 'etc\agent_id.cfg'))
    $config = [IO.Path]::Combine($there.DataFolder, 'etc\agent_activation.cfg')
    if (-not $id.Exists -or $id.Length -eq 0 -or -not (Test-Path -LiteralPath $config)) { return '' }
    foreach ($line in [IO.File]::ReadAllLines($config)) {
        if ($line.StartsWith('masterconfig_server: ')) { return $line.Substring(21).Trim() }
    }
    'another server'
}

# CheckLeftovers looks for remains, where the product is not installed.
function CheckLeftovers($there) {
    if ((Test-Path -LiteralPath $there.InstallFolder) -and @(Get-ChildItem -LiteralPath $there.InstallFolder -Force).Count -gt 0) {
        Problem 10 "$($there.InstallFolder) has files of no package of ${product}: move or remove the folder."
    }
    if (Test-Path -LiteralPath ([IO.Path]::Combine($there.DataFolder, 'etc\agent_id.cfg'))) {
        Problem 10 "$($there.DataFolder) has the identity of an earlier installation: unpair that workload in the console, and remove the folder."
    }
}

# Arch is the machine's: a PowerShell that is emulated has another one.
function Arch {
    $arch = [Environment]::GetEnvironmentVariable('PROCESSOR_ARCHITECTURE', 'Machine')
    if (-not $arch) { $arch = $env:PROCESSOR_ARCHITECTURE }
    if ($arch -eq 'AMD64') { return 'x64' }
    if ($arch -eq 'ARM64') { return 'arm64' }
    [string]$arch
}

function Request([string]$address, $o) {
    $r = [Net.WebRequest]::Create($address)
    $r.Timeout = 60000
    $r.ReadWriteTimeout = 60000
    $r.AllowAutoRedirect = $false
    if ($o['proxy-server']) { $r.Proxy = New-Object Net.WebProxy ('http://' + $o['proxy-server']) }
    $r
}

# Refused is the answer of a server in what a request has thrown, or nothing.
function Refused($e) {
    for (; $e; $e = $e.InnerException) {
        if ($e -is [Net.WebException] -and $e.Response) { return $e.Response }
    }
}

# Untrusted tells from what a request has thrown whether the certificate may be why.
function Untrusted($e) {
    for (; $e; $e = $e.InnerException) {
        if ($e -is [Security.Authentication.AuthenticationException]) { return $true }
        if ($e -is [Net.WebException] -and $e.Status -eq [Net.WebExceptionStatus]::TrustFailure) { return $true }
    }
    $false
}

# Ask asks for the headers of an address. Unchecked means whatever the certificate is;
# a script block for that would not run on another thread.
function Ask([string]$address, $o, [bool]$unchecked) {
    $r = Request $address $o
    $r.Method = 'HEAD'
    if ($unchecked) {
        $types = [object], [Security.Cryptography.X509Certificates.X509Certificate], [Security.Cryptography.X509Certificates.X509Chain], [Net.Security.SslPolicyErrors]
        $parameters = [Linq.Expressions.ParameterExpression[]]@($types | ForEach-Object { [Linq.Expressions.Expression]::Parameter($_) })
        $r.ServerCertificateValidationCallback = [Linq.Expressions.Expression]::Lambda([Net.Security.RemoteCertificateValidationCallback], [Linq.Expressions.Expression]::Constant($true), $parameters).Compile()
    }
    try { $answer = $r.GetResponse() } catch {
        $answer = Refused $_.Exception
        if (-not $answer) { return @{ Status = 0; Reason = $_.Exception.GetBaseException().Message; Untrusted = (Untrusted $_.Exception) } }
    }
    $found = @{ Status = [int]$answer.StatusCode; Date = $answer.Headers['Date']; Size = [long]$answer.ContentLength; Sum = [string]$answer.Headers['X-Checksum-Sha256'] }
    $answer.Close()
    $found
}

# CheckServer asks for the package, or for this script if there is none to install, and
# gives the answer.
function CheckServer([string]$address, $o) {
    $server = $o['management-server']
    $answer = Ask $address $o $false
    if ($answer.Untrusted) {
        $reason = $answer.Reason
        $answer = Ask $address $o $true # for the clock alone; it carries nothing secret
        if ($answer.Status) {
            if (-not (CheckClock $answer.Date 300)) { Problem 8 "The certificate of $server is not trusted ($reason): install its authority's certificate for this machine." }
            return @{}
        }
    }
    if (-not $answer.Status) {
        Problem 9 "$server cannot be reached ($($answer.Reason)): look at its name and port, the network, firewalls and -proxy-server."
        return @{}
    }
    $null = CheckClock $answer.Date 3600
    if ($answer.Status -eq 404 -and $o['version']) {
        Problem 20 "$server has no package of release $($o['version']) for this system: choose one that its console lists."
    } elseif ($answer.Status -eq 404) {
        Problem 11 "$server has nothing for this line any more: copy a new one from its console."
    } elseif (200, 405 -notcontains $answer.Status) {
        Problem 9 "$server answers with the status $($answer.Status): try again later, or ask its administrator."
    }
    $answer
}

# CheckClock compares with the server's, and tells whether it is that which is wrong. Five
# minutes spoil certificates that are new; where they did not, they are told, and an hour
# is in the way.
function CheckClock([string]$date, [int]$most) {
    try { $then = [DateTime]::ParseExact($date, 'r', [Globalization.CultureInfo]::InvariantCulture) } catch { return $false }
    $skew = [long]([DateTime]::UtcNow - $then).TotalSeconds
    $side = 'ahead'
    if ($skew -lt 0) { $side = 'behind'; $skew = -$skew }
    if ($skew -gt $most) {
        Problem 7 "The clock is $skew seconds $side of the server's: set it, or have it set by NTP."
        return $true
    }
    if ($skew -gt 300) { Complain "Warning: the clock is $skew seconds $side of the server's" }
    $false
}

# Download gets the package whole, in several attempts if need be.
function Download([string]$address, [string]$file, [long]$size, [string]$sum, $o) {
    $again = $false
    $other = $false
    for ($attempt = 1; $attempt -le 8; $attempt++) {
        $have = 0
        if (Test-Path -LiteralPath $file) { $have = (Get-Item -LiteralPath $file).Length }
        if ($have -gt $size) { Remove-Item -LiteralPath $file; $have = 0 }
        if ($have -lt $size) {
            if ($attempt -gt 1 -and -not $other) {
                Say "Download interrupted at $have of $size bytes: going on"
                Start-Sleep -Seconds ([Math]::Min(15, [Math]::Pow(2, $attempt - 2)))
            }
            $other = $false
            try { Append $address $file $have $o } catch {
                Note ('download: ' + $_.Exception.Message)
                # 0x80070070: there is not enough space on the disk.
                if ($_.Exception.GetBaseException().HResult -eq -2147024784) { Fail 6 'The package cannot be written: make room on the disk.' }
                $answer = Refused $_.Exception
                if ($answer -and 403, 404, 410 -contains [int]$answer.StatusCode) { break } # again would be in vain
                if ($answer -and [int]$answer.StatusCode -eq 416 -and (Test-Path -LiteralPath $file)) { Remove-Item -LiteralPath $file }
                continue
            }
            if ((Get-Item -LiteralPath $file).Length -lt $size) { continue }
        }
        Say 'Validating sha256'
        if ((Sum $file) -eq $sum) { return }
        Remove-Item -LiteralPath $file
        if ($again) { Fail 12 'The package has another SHA-256 than the server announced: run the line from the console again; if that does not help, what is in between changes files.' }
        $again = $true
        $other = $true
        Say 'The package is not the one that the server announced: downloading it again'
    }
    Fail 11 "The package could not be downloaded from $($o['management-server']): look at the network and the server, and run the line again."
}

function Append([string]$address, [string]$file, [long]$have, $o) {
    $r = Request $address $o
    if ($have -gt 0) { $r.AddRange($have) }
    $answer = $r.GetResponse()
    try {
        $mode = [IO.FileMode]::Create
        if ($have -gt 0 -and [int]$answer.StatusCode -eq 206) { $mode = [IO.FileMode]::Append }
        $in = $answer.GetResponseStream()
        $out = New-Object IO.FileStream $file, $mode, ([IO.FileAccess]::Write)
        try {
            $buffer = New-Object byte[] 65536
            while (($n = $in.Read($buffer, 0, $buffer.Length)) -gt 0) { $out.Write($buffer, 0, $n) }
        } finally { $out.Close() }
    } finally { $answer.Close() }
}

# Sum is the SHA-256 of a file: Get-FileHash is not in older PowerShells.
function Sum([string]$file) {
    $in = [IO.File]::OpenRead($file)
    try { $hash = [Security.Cryptography.SHA256]::Create().ComputeHash($in) } finally { $in.Close() }
    [BitConverter]::ToString($hash).Replace('-', '').ToLowerInvariant()
}

# MakeWork makes a folder with a name that nobody could guess, for administrators and
# the system alone (by their SIDs: groups have other names in other languages).
function MakeWork {
    $script:work = Join-Path $env:windir ('temp\pair-' + [Guid]::NewGuid().ToString('N'))
    $null = New-Item -ItemType Directory -Path $script:work
    $null = & "$env:windir\system32\icacls.exe" $script:work /inheritance:r /grant:r '*S-1-5-32-544:(OI)(CI)F' '*S-1-5-18:(OI)(CI)F'
    if ($LASTEXITCODE -ne 0) { Fail 6 'A folder for the download cannot be protected: look at the disk of Windows.' }
}

# Installer runs Windows Installer, which does one thing at a time, and gives its exit
# code. WaitForExit keeps a Ctrl+C until it has ended; Start-Process would leave it alone.
function Installer([string]$arguments) {
    $msiLog = Join-Path $script:work 'msi.log'
    for ($try = 1; ; $try++) {
        Note ('+ msiexec ' + $arguments)
        $script:installer = [Diagnostics.Process]::Start("$env:windir\system32\msiexec.exe", $arguments + ' /qn /norestart /l*v "' + $msiLog + '"')
        $script:installer.WaitForExit()
        $ended = $script:installer.ExitCode
        try { foreach ($line in [IO.File]::ReadAllLines($msiLog)) { Note ('| ' + $line) } } catch { Note ('msi.log: ' + $_.Exception.Message) }
        if ($ended -ne 1618 -or $try -ge 60) { return $ended }
        if ($try -eq 1) { Say 'Another installation is running: waiting for it' }
        Start-Sleep -Seconds 5
    }
}

# Install installs the package, which pairs at once if it is given the code. It has no
# properties for the other options.
function Install([string]$file, [string]$wanted, [string]$codeFile, $o) {
    Say 'Installing Illumio Packages'
    $arguments = '/i "' + $file + '"'
    $more = $agentOptions | Where-Object { $o[$_] }
    if (-not $more) {
        $arguments += ' MANAGEMENT_SERVER=' + $o['management-server'] + ' ACTIVATION_FILE="' + $codeFile + '"'
        if ($profileId) { $arguments += " PROFILE_ID=$profileId" }
    }
    $script:installing = $true
    $ended = Installer $arguments
    if (0, 1641, 3010 -notcontains $ended) {
        Fail 13 "Windows Installer could not install the package (exit code $ended), and has taken it back: see $script:log."
    }
    if ($ended -ne 0) { Say "Windows has to be restarted to finish (exit code $ended)" }
    $there = Registered
    Say "EXPECTED_VERSION: $wanted"
    Say "INSTALLED_VERSION: $(if ($there.Release) { $there.Release } else { 'none' })"
    if ($there.Release -ne $wanted) { Fail 13 "Windows Installer did not install the package: see $script:log." }
    Control $there.Program @('version')
    if ($script:ended -ne 0 -or $script:said[0] -ne $wanted -or (Test-Path -LiteralPath (Join-Path $env:ProgramData "vpkg\$product\failed"))) {
        Fail 15 "The package is installed and could not set up the machine: see $script:log."
    }
}

# Undo takes an installation back, however far it has come.
function Undo {
    if (-not $script:installing) { return }
    $script:installing = $false
    if ($script:installer) { $script:installer.WaitForExit() }
    if ($script:upgrading) {
        Complain "The release that was there before was $script:upgrading; see $script:log"
        return
    }
    $there = Registered
    if (-not $there.ProductCode) { return } # Windows Installer has done it
    Complain 'Taking the installation back'
    if (PairedWith $there) { Control $there.Program @('deactivate') }
    $arguments = '/x ' + $there.ProductCode
    if (-not $script:hadData) { $arguments += ' REMOVEDATA=1' }
    $ended = Installer $arguments
    if (0, 1605, 1641, 3010 -notcontains $ended) { Complain "$product could not be removed (exit code $ended): see $script:log" }
}

# Control runs the installed control program, and leaves what it said.
function Control([string]$program, [string[]]$words) {
    Note ('+ illumio-ven-ctl ' + ($words -join ' '))
    $script:said = @()
    $script:ended = 1
    if (-not (Test-Path -LiteralPath $program)) { Note "| there is no $program"; return }
    $old = $ErrorActionPreference
    $ErrorActionPreference = 'Continue' # what a program says on standard error is no error
    try {
        $script:said = @(& $program $words 2>&1 | ForEach-Object { [string]$_ })
        $script:ended = $LASTEXITCODE
    } catch { $script:said = @($_.Exception.Message) } # it could not be started
    $ErrorActionPreference = $old
    foreach ($line in $script:said) { Note ('| ' + $line) }
}

# Shown prints what the program said.
function Shown {
    foreach ($line in $script:said) { Complain ('  ' + $line) }
}

# Begin starts what is installed. From there on it is a good installation, paired or not.
function Begin($there) {
    Control $there.Program @('start')
    if ($script:ended -ne 0) {
        Shown
        Fail 16 "The VEN could not be started: see $script:log and $($there.Program) check-env."
    }
    Say 'Checking Runtime Environment'
    Control $there.Program @('check-env')
    if ($script:ended -ne 0) { Shown }
    Say 'Starting illumio-control:'
    Control $there.Program @('status')
    foreach ($line in $script:said) { if ($line.Contains(' running')) { Say ('  ' + $line) } }
    $script:installing = $false
}

function Activate($there, [string]$codeFile, $o) {
    Say 'Pairing with Illumio'
    # Windows Installer may have paired it. If it has not, the program says why.
    if ((PairedWith $there) -ne $o['management-server']) {
        $words = @('activate', ('--management-server=' + $o['management-server']), ('--activation-code-file=' + $codeFile))
        if ($profileId) { $words += "--profile-id=$profileId" }
        foreach ($name in $agentOptions) {
            if ($o[$name]) { $words += "--$name=" + $o[$name] }
        }
        Control $there.Program $words
        if ($script:ended -ne 0) {
            Shown
            if (($script:said -join ' ') -match 'the code is erased') {
                Fail 17 'The activation code was refused: make a new one in the console and run its line; the VEN stays installed.'
            }
            Fail 18 'The VEN is installed and not paired: see above, and run the line from the console again.'
        }
    }
    Remove-Item -LiteralPath $codeFile -Force -ErrorAction SilentlyContinue # with the folder at the latest
    Say "Created $([IO.Path]::Combine($there.DataFolder, 'etc\agent_activation.cfg'))"
}

# Report waits until the policy that came with the pairing is in force.
function Report($there) {
    for ($try = 1; $try -le 60; $try++) {
        Control $there.Program @('agent-status')
        if ($script:ended -eq 0) { break }
        Start-Sleep -Seconds 1
    }
    foreach ($line in $script:said) { Say $line }
    if ($script:ended -ne 0) { Fail 19 "The VEN is paired and not everything runs: see $($there.Program) status." }
}

# OwnFile makes a file for administrators and the system alone. One that is there and
# that an ordinary user has made, or a link of any kind, is not used. (The owner comes
# first: what is an administrator's no user can exchange after that.)
function OwnFile([string]$file) {
    try {
        if (Test-Path -LiteralPath $file) {
            $owner = (Get-Acl -LiteralPath $file).GetOwner([Security.Principal.SecurityIdentifier]).Value
            if ('S-1-5-32-544', 'S-1-5-18', [Security.Principal.WindowsIdentity]::GetCurrent().User.Value -notcontains $owner) { return $false }
            $item = Get-Item -LiteralPath $file -Force
            if ($item.PSIsContainer -or $item.LinkType -or ($item.Attributes -band [IO.FileAttributes]::ReparsePoint)) { return $false }
        } else {
            $null = New-Item -ItemType File -Path $file
        }
        $null = & "$env:windir\system32\icacls.exe" $file /inheritance:r /grant:r '*S-1-5-32-544:F' '*S-1-5-18:F'
        return $LASTEXITCODE -eq 0
    } catch { return $false }
}

function OpenLog {
    foreach ($folder in "$env:windir\temp", $env:tmp) {
        $file = "$folder\illumio.log"
        if (-not (OwnFile $file)) { continue }
        $script:log = $file
        Note "pair.ps1 of $product $release"
        return
    }
    Complain 'pair.ps1: warning: illumio.log cannot be written: there will be no log'
}

# Newer compares releases, X.Y.Z-BUILD.
function Newer([string]$a, [string]$b) {
    $x = $a -split '[.-]'
    $y = $b -split '[.-]'
    for ($i = 0; $i -lt [Math]::Min($x.Count, $y.Count); $i++) {
        if ($x[$i] -notmatch '^[0-9]{1,15}$' -or $y[$i] -notmatch '^[0-9]{1,15}$') { return $false }
        if ([long]$x[$i] -ne [long]$y[$i]) { return [long]$x[$i] -gt [long]$y[$i] }
    }
    $x.Count -gt $y.Count
}

function Pair([object[]]$words) {
    $o = Options $words
    if ($o['help'] -or $o['h']) { [Console]::Out.WriteLine($usage); return }
    CheckOptions $o
    $identity = New-Object Security.Principal.WindowsPrincipal ([Security.Principal.WindowsIdentity]::GetCurrent())
    $admin = $identity.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)
    if ($admin -and -not $o['dry-run']) { OpenLog }
    $server = $o['management-server']
    if ($o['version'] -eq $release) { $o.Remove('version') }
    $wanted = $release
    if ($o['version']) { $wanted = $o['version'] }

    # How far the machine is.
    $there = Registered
    $paired = ''
    $has = $there.Release
    $broken = $has -and -not (Test-Path -LiteralPath $there.Program)
    if ($admin -and $has) { $paired = PairedWith $there }
    if ($paired -eq $server -and -not $broken) { Say "The VEN is already paired with $server"; return }
    $needed = -not $has -or (-not $paired -and -not $broken -and (Newer $wanted $has))
    if ($o['version'] -and $has -and -not $needed -and -not $paired -and $has -ne $wanted) {
        Fail 10 "The VEN is installed as $has, which is not older than ${wanted}: remove it first, or leave -version out."
    }
    if ($needed) { Say 'Installing Illumio' } else { Say 'Activating Illumio' }

    # Everything that stands in the way is told at once.
    if (-not $admin) { Problem 3 'This has to be run as an administrator: open PowerShell with "Run as administrator".' }
    if ($broken) { Problem 10 "An installation of $product is not complete: repair it with its package, or remove it." }
    $arch = Arch
    $system = [Environment]::OSVersion.Version
    $image = $null
    foreach ($i in $images) { if ($i[0] -eq $arch) { $image = $i } }
    $query = ''
    if ($profileId) { $query = "&profile_id=$profileId" }
    $address = "https://$server/api/v$api/software/ven/image?pair_script=pair.ps1$query"
    if ($needed) {
        if ($image -and $system.Major -ge 10) {
            $address = "https://$server/api/v$api/software/ven/image?os=windows&arch=$arch&version=$wanted$query"
        } else {
            Problem 4 "Windows $system on $arch is not supported. Packages are there for Windows 10, Server 2016 and later on: $(($images | ForEach-Object { $_[0] }) -join ', ')."
        }
        if ($admin -and -not $has) { CheckLeftovers $there }
    }
    if ($o['ca-file']) {
        try {
            $o['ca-file'] = (Resolve-Path -LiteralPath $o['ca-file']).ProviderPath
            $null = [IO.File]::ReadAllText($o['ca-file'])
        } catch { Problem 8 'The file of -ca-file cannot be read.' }
    }
    $answer = CheckServer $address $o
    if ($needed -and $image) {
        # Of the release that this script is of it has the SHA-256 itself.
        $name, $size, $sum = $image[1..3]
        if ($wanted -ne $release) {
            $name = "$product-$wanted.win.$arch.msi"
            $size = $answer.Size
            $sum = $answer.Sum
            if ($answer.Status -eq 200 -and ($size -le 0 -or $sum -notmatch '^[0-9a-f]{64}$')) { Problem 11 "$server does not say what the package of $wanted is: ask its administrator." }
        }
        # The package, and what it unpacks to, which is about three times as much.
        $free = (New-Object IO.DriveInfo ($env:windir.Substring(0, 1))).AvailableFreeSpace
        $room = 5 * [long]$size + 4194304
        if ($free -lt $room) { Problem 6 "$($env:windir.Substring(0, 2)) has $free bytes free, and $room are needed: make room there." }
    }
    if ($script:problems.Count -gt 0) {
        Fail $script:problems[0][0] 'Nothing was changed, for this is in the way:'
    }
    if ($o['dry-run']) {
        if ($needed) { Say "Would download $name, $size bytes, from $server and install it" }
        if ($paired) { Say "Would leave $paired" }
        Say "Would pair with $server"
        Say 'Nothing was changed'
        return
    }

    MakeWork
    $codeFile = Join-Path $script:work 'code'
    [IO.File]::WriteAllText($codeFile, $script:code)
    if ($needed) {
        Say "Retrieving Illumio Packages [$arch][Windows][$system]"
        $file = Join-Path $script:work $name
        Download $address $file $size $sum $o
        $script:upgrading = $has
        $script:hadData = Test-Path -LiteralPath $there.DataFolder
        Install $file $wanted $codeFile $o
        $there = Registered
        Say 'Starting Illumio processes'
        Begin $there
        Activate $there $codeFile $o
    } else {
        if ($paired) {
            Say 'Detected PCE fqdn/port change'
            Control $there.Program @('deactivate')
            if ($script:ended -ne 0) {
                Shown
                Fail 18 "The VEN could not leave ${paired}: see above, and $($there.Program) deactivate."
            }
        }
        Say 'Storing Activation Configuration'
        Activate $there $codeFile $o
        Say 'Starting Illumio Processes'
        Begin $there
    }
    Report $there
}

function Main([object[]]$words) {
    Set-StrictMode -Off # of a profile
    $ErrorActionPreference = 'Stop'
    $status = 130 # of Ctrl+C PowerShell tells the last block alone
    try {
        # TLS 1.2 by its number, which old systems have no name for.
        try { [Net.ServicePointManager]::SecurityProtocol = [Enum]::ToObject([Net.SecurityProtocolType], 3072) } catch { Note 'TLS: the default of the system' }
        Pair $words
        $status = 0
    } catch {
        $status = 1
        if ($_.Exception.Data['status']) { $status = $_.Exception.Data['status'] }
        Complain ('pair.ps1: ' + $_.Exception.Message)
        foreach ($problem in $script:problems) { Complain ('  - ' + $problem[1]) }
    } finally {
        if ($status -ne 0) { try { Undo } catch { Complain ('pair.ps1: ' + $_.Exception.Message) } }
        if ($script:work -and (Test-Path -LiteralPath $script:work)) { Remove-Item -LiteralPath $script:work -Recurse -Force -ErrorAction SilentlyContinue }
        Note "exit status $status"
    }
    $script:status = $status
}

Main $args
exit $script:status
