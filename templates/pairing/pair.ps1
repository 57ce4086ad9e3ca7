# pair.ps1 - installs {{.Product}} {{.Version}} on this machine and pairs it with its server.
#
# The server made it for one release of the product. Nothing happens before the last
# line, so that a download that was cut off does nothing. "pair.ps1 -help" tells what it
# takes and how it ends. It has no param block: names of parameters have no hyphens.

$product = {{ps .Product}}
$release = {{ps .Version}}
$api = {{.API}}
$profileId = {{if .Profile}}{{.Profile}}{{else}}''{{end}}

# The packages of the release: architecture, version, file, bytes, SHA-256.
$images = @(
{{- range .Images}}
    ,@({{ps .Arch}}, {{ps .Version}}, {{ps .FileName}}, {{.Size}}, {{ps .SHA256}})
{{- end}}
)

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

Exit status, in $LASTEXITCODE:
   0  the VEN is paired, or was already
   2  the command line is wrong
   3  not run as an administrator
   4  there is no package for this system
   6  not enough space on the disk
   8  the server's certificate is not trusted
   9  the server cannot be reached
  10  the installation that is there is in the way
  11  the package could not be downloaded
  12  the package is not the one that the server announced
  13  Windows Installer could not install it
  15  what was installed does not work
  16  it could not be started
  17  the activation code was refused
  18  pairing failed for another reason
  19  paired, but not everything runs yet
  20  the server does not have the release that -version names
'@

$script:code = ''
$script:log = ''
$script:work = ''

function Hide([string]$text) {
    if ($script:code) { $text = $text.Replace($script:code, '[redacted]') }
    $text
}

function Note([string]$text) {
    if (-not $script:log) { return }
    $line = [DateTime]::UtcNow.ToString('yyyy-MM-ddTHH:mm:ssZ') + ' ' + (Hide $text) + "`r`n"
    try { [IO.File]::AppendAllText($script:log, $line) } catch { $script:log = '' }
}

function Say([string]$text) {
    Note $text
    [Console]::Out.WriteLine((Hide $text))
}

# Fail ends the script: Main has a handler, which cleans up.
function Fail([int]$status, [string]$text) {
    $e = New-Object System.Exception $text
    $e.Data['status'] = $status
    throw $e
}

# Options reads the command line. A name that ends in a colon is how PowerShell gives
# "-name:value" on.
function Options([object[]]$words) {
    $o = @{}
    $values = 'management-server', 'activation-code', 'activation-code-file', 'enforcement-mode', 'role', 'app', 'env', 'loc', 'proxy-server', 'ca-file', 'version'
    for ($i = 0; $i -lt $words.Count; $i++) {
        $word = [string]$words[$i]
        # What is not an option is not repeated: it may be the code.
        if (-not $word.StartsWith('-')) { Fail 2 'only options are taken; see pair.ps1 -help' }
        $name = $word.TrimStart('-').TrimEnd(':').Replace('_', '-').ToLowerInvariant()
        if ($name -eq 'help' -or $name -eq 'h' -or $name -eq 'dry-run') { $o[$name] = $true; continue }
        if ($values -notcontains $name) { Fail 2 'there is no such option; see pair.ps1 -help' }
        if ($o.ContainsKey($name)) { Fail 2 "-$name is there twice" }
        $i++
        if ($i -ge $words.Count -or [string]$words[$i] -eq '') { Fail 2 "-$name wants a value" }
        $value = [string]$words[$i]
        if ($value -match '[\x00-\x1f\x7f]' -or $value.Length -gt 1024 -or $value -ne $value.Trim()) { Fail 2 "-$name has a value that cannot be used" }
        $o[$name] = $value
    }
    $o
}

function CheckOptions($o) {
    $address = '^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9._-]*):[1-9][0-9]{0,4}$'
    if (-not $o['management-server']) { Fail 2 'which server? give -management-server HOST:PORT' }
    foreach ($name in 'management-server', 'proxy-server') {
        if ($o[$name] -and ($o[$name] -notmatch $address)) { Fail 2 "-$name wants HOST:PORT, without https://" }
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
# where this PowerShell has 32 bits.
function Registered {
    $found = @{}
    $base = [Microsoft.Win32.RegistryKey]::OpenBaseKey([Microsoft.Win32.RegistryHive]::LocalMachine, [Microsoft.Win32.RegistryView]::Registry64)
    $key = $base.OpenSubKey('Software\vpkg\' + $product)
    if ($key) {
        foreach ($name in 'InstallFolder', 'DataFolder', 'Version', 'Build') { $found[$name] = [string]$key.GetValue($name) }
        $key.Close()
    }
    $found
}

# PairedWith is the server that the machine is paired with, or nothing.
function PairedWith($there) {
    if (-not $there.DataFolder) { return '' }
    $etc = Join-Path $there.DataFolder 'etc'
    if (-not (Test-Path -LiteralPath (Join-Path $etc 'agent_id.cfg'))) { return '' }
    foreach ($line in [IO.File]::ReadAllLines((Join-Path $etc 'agent_activation.cfg'))) {
        if ($line.StartsWith('masterconfig_server: ')) { return $line.Substring(21).Trim() }
    }
    ''
}

function Arch {
    $arch = $env:PROCESSOR_ARCHITEW6432
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

# Reached asks for the headers of an address, and fails with what to do.
function Reached([string]$address, $o) {
    $r = Request $address $o
    $r.Method = 'HEAD'
    try { return $r.GetResponse() } catch {
        $e = $_.Exception
        while ($e -and -not ($e -is [Net.WebException])) { $e = $e.InnerException }
        if (-not $e) { throw }
        $server = $o['management-server']
        if ($e.Response) {
            $status = [int]$e.Response.StatusCode
            $e.Response.Close()
            if ($status -eq 404 -and $o['version']) { Fail 20 ("$server has no package of release " + $o['version'] + ' for this system: choose one that its console lists.') }
            if ($status -eq 404) { Fail 11 "$server does not have this package any more: run the line from its console again." }
            Fail 9 "$server answers with the status ${status}: try again later, or ask its administrator."
        }
        if ($e.Status -eq [Net.WebExceptionStatus]::TrustFailure) {
            Fail 8 "The certificate of $server is not trusted: install its authority's certificate for this machine, and look at the clock."
        }
        Fail 9 "$server cannot be reached ($($e.Message)): look at its name and port, the network, firewalls and -proxy-server."
    }
}

# Download gets the package whole, in several attempts if need be.
function Download([string]$address, [string]$file, [long]$size, [string]$sum, $o) {
    for ($attempt = 1; $attempt -le 8; $attempt++) {
        $have = 0
        if (Test-Path -LiteralPath $file) { $have = (Get-Item -LiteralPath $file).Length }
        if ($have -gt $size) { Remove-Item -LiteralPath $file; $have = 0 }
        if ($have -lt $size) {
            if ($attempt -gt 1) {
                Say "Download interrupted at $have of $size bytes: going on"
                Start-Sleep -Seconds ([Math]::Min(15, [Math]::Pow(2, $attempt - 2)))
            }
            try { Append $address $file $have $o } catch { Note ('download: ' + $_.Exception.Message); continue }
            if ((Get-Item -LiteralPath $file).Length -lt $size) { continue }
        }
        Say 'Validating sha256'
        if ((Sum $file) -eq $sum) { return }
        Remove-Item -LiteralPath $file
        if ($script:again) { break }
        $script:again = $true
        Say 'The package is not the one that the server announced: downloading it again'
    }
    if ($script:again) { Fail 12 'The package has another SHA-256 than the server announced: run the line from the console again; if that does not help, what is in between changes files.' }
    Fail 11 'The package could not be downloaded: look at the network and the server, and run the line again.'
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

function Install([string]$file, [string]$codeFile, $o) {
    Say 'Installing Illumio Packages'
    $msiLog = Join-Path $script:work 'msi.log'
    $arguments = '/i "' + $file + '" /qn /norestart /l*v "' + $msiLog + '"'
    if ($codeFile) { $arguments += ' MANAGEMENT_SERVER=' + $o['management-server'] + ' ACTIVATION_FILE="' + $codeFile + '"' }
    $p = Start-Process -FilePath "$env:windir\system32\msiexec.exe" -ArgumentList $arguments -Wait -PassThru
    $ended = $p.ExitCode
    if (Test-Path -LiteralPath $msiLog) { foreach ($line in [IO.File]::ReadAllLines($msiLog)) { Note ('| ' + $line) } }
    if (0, 1641, 3010 -notcontains $ended) {
        Fail 13 "Windows Installer could not install the package (exit code $ended), and has taken it back: see $script:log. 1618 is another installation that runs: try again."
    }
    if ($ended -ne 0) { Say "Windows has to be restarted to finish (exit code $ended)" }
}

# Control runs the installed control program, and leaves what it said.
function Control([string]$program, [string[]]$words) {
    Note ('+ illumio-ven-ctl ' + ($words -join ' '))
    $old = $ErrorActionPreference
    $ErrorActionPreference = 'Continue' # what a program says on standard error is no error
    $script:said = @(& $program $words 2>&1 | ForEach-Object { [string]$_ })
    $script:ended = $LASTEXITCODE
    $ErrorActionPreference = $old
    foreach ($line in $script:said) { Note ('| ' + $line) }
}

function Activate([string]$program, [string]$codeFile, $o) {
    Say 'Pairing with Illumio'
    $words = @('activate', ('--management-server=' + $o['management-server']), ('--activation-code-file=' + $codeFile))
    if ($profileId) { $words += "--profile-id=$profileId" }
    foreach ($name in 'enforcement-mode', 'role', 'app', 'env', 'loc', 'proxy-server', 'ca-file') {
        if ($o[$name]) { $words += "--$name=" + $o[$name] }
    }
    Control $program $words
    if ($script:ended -eq 0) { return }
    foreach ($line in $script:said) { Say ('  ' + $line) }
    if (($script:said -join ' ') -match 'the code is erased') {
        Fail 17 'The activation code was refused: make a new one in the console and run its line; the VEN stays installed.'
    }
    Fail 18 'The VEN is installed and not paired: see above, and run the line from the console again.'
}

function Report([string]$program) {
    for ($try = 1; $try -le 60; $try++) {
        Control $program @('status')
        if ($script:ended -eq 0) { break }
        Start-Sleep -Seconds 1
    }
    Say 'Pairing Status'
    foreach ($line in $script:said) { Say $line }
    if ($script:ended -ne 0) { Fail 19 "The VEN is paired and not everything runs: see $program status." }
    Say 'VEN has been SUCCESSFULLY paired with Illumio'
}

function OpenLog {
    foreach ($folder in (Join-Path $env:windir 'temp'), $env:tmp) {
        $script:log = Join-Path $folder 'illumio.log'
        Note "pair.ps1 of $product $release"
        if ($script:log) { return }
    }
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
    if (-not $identity.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) { Fail 3 'This has to be run as an administrator: open PowerShell with "Run as administrator".' }
    if (-not $o['dry-run']) { OpenLog }
    if ($o['ca-file'] -and -not (Test-Path -LiteralPath $o['ca-file'])) { Fail 8 'The file of -ca-file cannot be read.' }
    if ($o['ca-file']) { $o['ca-file'] = (Resolve-Path -LiteralPath $o['ca-file']).ProviderPath }
    $server = $o['management-server']
    $wanted = $release
    if ($o['version']) { $wanted = $o['version'] }

    $there = Registered
    $paired = PairedWith $there
    if ($paired -eq $server) { Say "The VEN is already paired with $server"; return }
    $has = ''
    if ($there.Version) { $has = $there.Version + '-' + $there.Build }
    $needed = (-not $has) -or ((-not $paired) -and (Newer $wanted $has))
    if ($o['version'] -and $has -and (-not $needed) -and $has -ne $wanted) {
        Fail 10 "The VEN is installed as ${has}: remove it first, or leave -version out."
    }
    if ($needed) { Say 'Installing Illumio' } else { Say 'Activating Illumio' }

    $arch = Arch
    $image = $null
    foreach ($i in $images) { if ($i[0] -eq $arch) { $image = $i } }
    if ($needed -and (-not $image -or [Environment]::OSVersion.Version.Major -lt 10)) {
        Fail 4 ("Windows $([Environment]::OSVersion.Version) on $arch is not supported. Packages are there for Windows 10, Server 2016 and later on: " + (($images | ForEach-Object { $_[0] }) -join ' ') + '.')
    }
    $query = ''
    if ($profileId) { $query = "&profile_id=$profileId" }
    $address = "https://$server/api/v$api/software/ven/image?pair_script=pair.ps1$query"
    if ($needed) { $address = "https://$server/api/v$api/software/ven/image?os=windows&arch=$arch&version=$wanted$query" }
    $answer = Reached $address $o
    $size = [long]$answer.ContentLength
    $sum = $answer.Headers['X-Checksum-Sha256']
    $answer.Close()
    $name = "$product-$wanted.win.$arch.msi"
    # Of the release that this script is of it has the SHA-256 itself.
    if ($needed -and $wanted -eq $release) { $name = $image[2]; $size = [long]$image[3]; $sum = $image[4] }
    if ($needed) {
        if ($size -le 0 -or $sum -notmatch '^[0-9a-f]{64}$') { Fail 11 "$server does not say what the package is: ask its administrator." }
        $free = (New-Object IO.DriveInfo ($env:windir.Substring(0, 1))).AvailableFreeSpace
        if ($free -lt 5 * $size + 4194304) { Fail 6 "$($env:windir.Substring(0, 2)) has $free bytes free, and $(5 * $size + 4194304) are needed: make room there." }
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
    # Windows Installer passes a server and a code on, and nothing else.
    $more = $false
    foreach ($option in 'enforcement-mode', 'role', 'app', 'env', 'loc', 'proxy-server', 'ca-file') { if ($o[$option]) { $more = $true } }
    if ($needed) {
        Say "Retrieving Illumio Packages [$arch][Windows][$([Environment]::OSVersion.Version)]"
        $file = Join-Path $script:work $name
        Download $address $file $size $sum $o
        if ($more) { Install $file '' $o } else { Install $file $codeFile $o }
        $there = Registered
    }
    $program = Join-Path $there.InstallFolder 'illumio-ven-ctl.exe'
    if (-not (Test-Path -LiteralPath $program)) { Fail 15 "The package is installed and $program is not there: see $script:log." }
    if ($paired) {
        Say 'Detected PCE fqdn/port change'
        Control $program @('deactivate')
        if ($script:ended -ne 0) { Fail 18 "The VEN could not leave ${paired}: see $script:log." }
    }
    if ((PairedWith $there) -ne $server) {
        # Also after Windows Installer has tried: this one says why it does not work.
        Activate $program $codeFile $o
    }
    Remove-Item -LiteralPath $codeFile
    Control $program @('start')
    if ($script:ended -ne 0) { Fail 16 "The VEN could not be started: see $script:log." }
    Report $program
}

function Main([object[]]$words) {
    $ErrorActionPreference = 'Stop'
    $status = 0
    try {
        # TLS 1.2 by its number, which old systems have no name for.
        try { [Net.ServicePointManager]::SecurityProtocol = [Enum]::ToObject([Net.SecurityProtocolType], 3072) } catch { Note 'TLS: the default of the system' }
        Pair $words
    } catch {
        $status = 1
        if ($_.Exception.Data['status']) { $status = $_.Exception.Data['status'] }
        Note ('pair.ps1: ' + $_.Exception.Message)
        [Console]::Error.WriteLine('pair.ps1: ' + (Hide $_.Exception.Message))
    } finally {
        if ($script:work -and (Test-Path -LiteralPath $script:work)) { Remove-Item -LiteralPath $script:work -Recurse -Force -ErrorAction SilentlyContinue }
        Note "exit status $status"
    }
    $script:status = $status
}

Main $args
exit $script:status
