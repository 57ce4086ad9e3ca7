package pairing

import (
	"bytes"
	_ "embed"
	"strconv"
	"strings"
	"text/template"
)

//go:embed pair.ps1
var pairPS1 string

var windows = template.Must(template.New("pair.ps1").Funcs(template.FuncMap{"ps": quotePS}).Parse(pairPS1))

// Windows is pair.ps1, for every architecture that the release has a package for
// Windows for. A script with a value that cannot be the name of anything is a
// [Refusal]: what is in it runs as an administrator.
func (s Script) Windows() []byte {
	if err := s.check(); err != nil {
		return Refusal("pair.ps1", "this server cannot make the script: "+err.Error())
	}
	var msi []Image
	for _, i := range s.Images {
		if i.Format == "msi" {
			msi = append(msi, i)
		}
	}
	s.Images = msi
	var b bytes.Buffer
	if err := windows.Execute(&b, s); err != nil {
		return Refusal("pair.ps1", "this server cannot make the script")
	}
	return b.Bytes()
}

// Windows is the line that downloads pair.ps1 and starts it, for cmd.exe and for
// PowerShell. Between them no character is left with which a quotation could be
// quoted, so a server or a code that is not made of letters, digits and ._:[]- has no
// line: it is empty. What does not work ends the line, and a script that is there is
// removed first: it may be an ordinary user's, who could keep it or write into it. With
// a CA it fetches the authority's certificate before that, without a check of the
// connection but with one of the file, and makes the machine trust it.
func (l Line) Windows() string {
	if !isPlain(l.Server) || !isPlain(l.Code) || l.CA != "" && !isPlain(l.CA) {
		return ""
	}
	address := "https://" + l.Server + "/api/v" + strconv.Itoa(l.API) + "/software/ven/image?pair_script=pair.ps1"
	if l.Profile != 0 {
		address += "&profile_id=" + strconv.FormatInt(l.Profile, 10)
	}
	const script = `$env:windir\temp\pair.ps1`
	steps := []string{
		"Set-ExecutionPolicy -Scope process remotesigned -Force",
		"Start-Sleep -s 3",
		"Set-Variable -Name ErrorActionPreference -Value SilentlyContinue",
		"[System.Net.ServicePointManager]::SecurityProtocol=[Enum]::ToObject([System.Net.SecurityProtocolType], 3072)",
		"Set-Variable -Name ErrorActionPreference -Value Stop",
	}
	if l.CA != "" {
		steps = append(steps, l.trust()...)
	}
	steps = append(steps,
		"if (Test-Path "+script+") {Remove-Item -Force "+script+"}",
		"[void](New-Item -ItemType File "+script+")",
		"(New-Object System.Net.WebClient).DownloadFile('"+address+"', (echo "+script+"))",
		"& "+script+" -management-server "+word(l.Server)+" -activation-code "+word(l.Code)+" ")
	return `PowerShell -Command "& {` + strings.Join(steps, "; ") + `}"`
}

// trust are the steps that make the machine trust the authority. They have no
// variables with a dollar sign: the PowerShell that the line is pasted into would put
// its own values there. The connection that is not checked is used once and no more
// (ConnectionLeaseTimeout), and the certificate is in no file that others could exchange.
func (l Line) trust() []string {
	const (
		manager     = "[System.Net.ServicePointManager]::"
		certificate = "[byte[]](Get-Variable -Name ca -ValueOnly)"
	)
	return []string{
		"Set-Variable -Name point -Value (" + manager + "FindServicePoint([Uri]'https://" + l.Server + "/'))",
		"(Get-Variable -Name point -ValueOnly).ConnectionLeaseTimeout=0",
		manager + "ServerCertificateValidationCallback={1}",
		"Set-Variable -Name ca -Value ((New-Object System.Net.WebClient).DownloadData('https://" + l.Server + "/ca.crt'))",
		manager + "ServerCertificateValidationCallback=(Get-Variable -Name null -ValueOnly)",
		"if ([BitConverter]::ToString([System.Security.Cryptography.SHA256]::Create().ComputeHash(" + certificate + ")).Replace('-', '') -ne '" + l.CA +
			"') {throw 'The certificate of the authority is another one than the console showed: nothing was changed'}",
		"Set-Variable -Name store -Value (New-Object System.Security.Cryptography.X509Certificates.X509Store('Root', 'LocalMachine'))",
		"(Get-Variable -Name store -ValueOnly).Open('ReadWrite')",
		"(Get-Variable -Name store -ValueOnly).Add([System.Security.Cryptography.X509Certificates.X509Certificate2]" + certificate + ")",
		"(Get-Variable -Name store -ValueOnly).Close()",
	}
}

// isPlain reports whether neither cmd.exe nor PowerShell sees more in s than its
// characters.
func isPlain(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:[]-") == ""
}

// word is plain text as an argument: what PowerShell could take for a number, an
// operator or a type stands in quotes.
func word(s string) string {
	if strings.Trim(s, "0123456789.-_:deDElLkKmMgGtTpPbBxX") == "" || strings.Trim(s[:1], "-.:[]_") == "" {
		return quotePS(s)
	}
	return s
}

// quotePS gives s as one literal of PowerShell, which takes typographic single quotes
// for quotes as well: each is doubled.
func quotePS(s string) string {
	return "'" + strings.NewReplacer("'", "''", "\u2018", "\u2018\u2018", "\u2019", "\u2019\u2019",
		"\u201a", "\u201a\u201a", "\u201b", "\u201b\u201b").Replace(s) + "'"
}
