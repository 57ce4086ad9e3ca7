package pairing

import (
	"bytes"
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"text/template"
)

//go:embed pair.sh
var pairSh string

var linux = template.Must(template.New("pair.sh").Funcs(template.FuncMap{"sh": quote}).Parse(pairSh))

// Linux is pair.sh, for every system of the release. A script with a value that
// cannot be the name of anything is a [Refusal]: what is in it runs as root.
func (s Script) Linux() []byte {
	if err := s.check(); err != nil {
		return Refusal("pair.sh", "this server cannot make the script: "+err.Error())
	}
	var rpmAndDeb []Image
	for _, i := range s.Images {
		if i.Format == "rpm" || i.Format == "deb" {
			rpmAndDeb = append(rpmAndDeb, i)
		}
	}
	s.Images = rpmAndDeb
	var b bytes.Buffer
	if err := linux.Execute(&b, s); err != nil { // memory does not refuse; half a script is none
		return Refusal("pair.sh", "this server cannot make the script")
	}
	return b.Bytes()
}

// check refuses values that are not what they stand for.
func (s Script) check() error {
	if s.API < 1 || s.API > 9999 || s.Profile < 0 {
		return fmt.Errorf("v%d with profile %d is no address", s.API, s.Profile)
	}
	words := []string{s.Product, s.Version}
	for _, i := range s.Images {
		words = append(words, i.OS, i.Arch, i.Format, i.Version, i.FileName)
		if len(i.SHA256) != 64 || strings.Trim(i.SHA256, "0123456789abcdef") != "" {
			return fmt.Errorf("%q is not a SHA-256", i.SHA256)
		}
		if i.Size <= 0 {
			return fmt.Errorf("%s has %d bytes", i.FileName, i.Size)
		}
	}
	for _, w := range words {
		if !isWord(w) {
			return fmt.Errorf("%q is not one word of letters, digits and ._+~:^-", w)
		}
	}
	return nil
}

// isWord is what names and versions of packages are made of, and a column of a
// table and a part of a path can be.
func isWord(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	return s != "" && len(s) <= 255 && strings.Trim(s, letters+"._+~:^-") == "" && strings.Trim(s[:1], letters) == ""
}

// Refusal is what is sent in the place of pair.sh or pair.ps1, by that name: it does
// nothing but say the sentence on standard error and exit with 1, also when it is
// piped into a shell. Any other name gets what a POSIX shell reads.
func Refusal(script, sentence string) []byte {
	sentence = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' { // PowerShell takes typographic quotes for quotes
			return '?'
		}
		return r
	}, sentence)
	if script == "pair.ps1" {
		return fmt.Appendf(nil, "# error: %s\n[Console]::Error.WriteLine('pair.ps1: %s')\nexit 1\n", sentence, strings.ReplaceAll(sentence, "'", "''"))
	}
	return fmt.Appendf(nil, "#!/bin/sh\n# error: %s\nprintf '%%s\\n' %s >&2\nexit 1\n", sentence, quote("pair.sh: "+sentence))
}

// Where the line puts the script, as the installation guide has it.
const tmp = "/opt/illumio_ven_data/tmp"

// Linux is the line that downloads pair.sh and starts it. With a CA it fetches the
// authority's certificate first, without a check of the connection but with one of the
// file, and trusts it for this server and this product alone: the system's own list of
// authorities stays as it is.
func (l Line) Linux() string {
	address := "https://" + l.Server + "/api/v" + strconv.Itoa(l.API) + "/software/ven/image?pair_script=pair.sh"
	if l.Profile != 0 {
		address += "&profile_id=" + strconv.FormatInt(l.Profile, 10)
	}
	steps := []string{"rm -fr " + tmp, "umask 026", "mkdir -p " + tmp}
	curl, options := "curl --tlsv1 ", ""
	if l.CA != "" {
		steps = append(steps,
			curl+"--insecure "+doubleQuote("https://"+l.Server+"/ca.crt")+" -o "+tmp+"/ca.crt",
			"echo "+doubleQuote(l.CA+"  "+tmp+"/ca.crt")+" | sha256sum -c")
		curl += "--cacert " + tmp + "/ca.crt "
		options = " --ca-file " + tmp + "/ca.crt"
	}
	steps = append(steps,
		curl+doubleQuote(address)+" -o "+tmp+"/pair.sh",
		"chmod +x "+tmp+"/pair.sh",
		tmp+"/pair.sh --management-server "+quote(l.Server)+" --activation-code "+quote(l.Code)+options)
	return strings.Join(steps, " && ")
}

// doubleQuote gives s as one word of a shell command, in double quotes.
func doubleQuote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`").Replace(s) + `"`
}

// quote gives s as one word of a shell command, bare if it may be.
func quote(s string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_"
	if s != "" && strings.Trim(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
