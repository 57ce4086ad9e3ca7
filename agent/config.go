package agent

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The enforcement modes.
const (
	ModeIdle       = "idle"            // the host's own rules, untouched
	ModeVisibility = "visibility_only" // nothing is blocked
	ModeSelective  = "selective"
	ModeFull       = "full"
)

func modes() []string { return []string{ModeIdle, ModeVisibility, ModeSelective, ModeFull} }

// maxValue is the longest value of a key, in bytes.
const maxValue = 1 << 10

// An ActivationConfig is etc/agent_activation.cfg of the data folder: to which
// server the agent belongs and as what. It never holds the activation code.
type ActivationConfig struct {
	Server   string // HOST:PORT; required
	Proxy    string // HOST:PORT of an HTTP proxy; empty means none
	Profile  string // decimal number of the pairing profile that the code is believed to be of; empty means that nobody says
	CAFile   string // absolute path of the PEM certificates that are trusted, in the place of the system's; empty means the system's
	Insecure bool   // the server's certificate is not checked
	Mode     string // enforcement mode asked for; empty leaves it to the server
	Labels   Labels
}

// configHeader is what the file begins with.
const configHeader = `# Written when the agent is activated: the server it belongs to and as what.
# One "key: value" a line. The activation code is never in this file.
`

// An entry is one key of the file. A value that is empty is not in the file.
type entry struct {
	key   string
	value *string
}

// entries are the keys, in the order in which they are written. Insecure is of
// another type; its text is in insecure.
func (c *ActivationConfig) entries(insecure *string) []entry {
	return []entry{
		{"masterconfig_server", &c.Server},
		{"proxy_server", &c.Proxy},
		{"profile_id", &c.Profile},
		{"ca_file", &c.CAFile},
		{"insecure", insecure},
		{"enforcement_mode", &c.Mode},
		{"role", &c.Labels.Role},
		{"app", &c.Labels.App},
		{"env", &c.Labels.Env},
		{"loc", &c.Labels.Loc},
	}
}

// String is the text of the file.
func (c ActivationConfig) String() string {
	insecure := ""
	if c.Insecure {
		insecure = "true"
	}
	var b strings.Builder
	b.WriteString(configHeader)
	for _, e := range c.entries(&insecure) {
		if *e.value != "" {
			fmt.Fprintf(&b, "%s: %s\n", e.key, *e.value)
		}
	}
	return b.String()
}

// ParseActivationConfig reads the file and checks it. Keys that it does not know
// are left out and told in unknown, for a later version may have written them.
// What stands in such a line is in no message: it may be a secret in the wrong
// place.
func ParseActivationConfig(text []byte) (c ActivationConfig, unknown []string, err error) {
	var insecure string
	var errs []error
	entries := c.entries(&insecure)
	seen := map[string]bool{}
	for i, line := range bytes.Split(text, []byte("\n")) {
		s := strings.TrimSpace(string(line))
		if s == "" || strings.HasPrefix(s, "#") {
			continue
		}
		key, value, ok := strings.Cut(s, ":")
		if !ok {
			errs = append(errs, fmt.Errorf("line %d: want key: value", i+1))
			continue
		}
		key = strings.TrimSpace(key)
		at := slices.IndexFunc(entries, func(e entry) bool { return e.key == key })
		switch {
		case at < 0:
			unknown = append(unknown, fmt.Sprintf("line %d: unknown key", i+1))
		case seen[key]:
			errs = append(errs, fmt.Errorf("line %d: %s is there twice", i+1, key))
		default:
			seen[key] = true
			*entries[at].value = strings.TrimSpace(value)
		}
	}
	switch insecure {
	case "", "false":
	case "true":
		c.Insecure = true
	default:
		errs = append(errs, fmt.Errorf("insecure: %q is neither true nor false", insecure))
	}
	return c, unknown, errors.Join(append(errs, c.Validate())...)
}

// Validate reports everything that is wrong with the values at once.
func (c ActivationConfig) Validate() error {
	var errs []error
	insecure := ""
	for _, e := range c.entries(&insecure) {
		if err := checkValue(*e.value); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", e.key, err))
		}
	}
	if c.Server == "" {
		errs = append(errs, errors.New("masterconfig_server: no server is named, want HOST:PORT"))
	}
	for _, e := range []entry{{"masterconfig_server", &c.Server}, {"proxy_server", &c.Proxy}} {
		if *e.value == "" {
			continue
		}
		if err := checkHostPort(*e.value); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", e.key, err))
		}
	}
	if n, err := strconv.ParseInt(c.Profile, 10, 64); c.Profile != "" && (err != nil || n < 1 || strconv.FormatInt(n, 10) != c.Profile) {
		errs = append(errs, fmt.Errorf("profile_id: %q is not the number of a profile", c.Profile))
	}
	if c.CAFile != "" && !filepath.IsAbs(c.CAFile) {
		errs = append(errs, fmt.Errorf("ca_file: %q is not an absolute path", c.CAFile))
	}
	if c.Mode != "" && !slices.Contains(modes(), c.Mode) {
		errs = append(errs, fmt.Errorf("enforcement_mode: %q is none of %s", c.Mode, strings.Join(modes(), ", ")))
	}
	return errors.Join(errs...)
}

// checkValue refuses what would not be read back as it was written.
func checkValue(s string) error {
	switch {
	case len(s) > maxValue:
		return fmt.Errorf("%d bytes, want at most %d", len(s), maxValue)
	case !utf8.ValidString(s):
		return errors.New("is not UTF-8")
	case strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("%q has a character that cannot be printed", s)
	case strings.TrimSpace(s) != s:
		return fmt.Errorf("%q begins or ends with a space", s)
	}
	return nil
}

// checkHostPort accepts HOST:PORT with a name, an IPv4 address or an IPv6 address
// in brackets.
func checkHostPort(s string) error {
	if strings.Contains(s, "://") {
		return fmt.Errorf("%q: want HOST:PORT, without https://", s)
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%q: want HOST:PORT", s)
	}
	if _, err := netip.ParseAddr(host); err != nil && !isHostname(host) {
		return fmt.Errorf("%q: %q is neither a name nor an address", s, host)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return fmt.Errorf("%q: port %q is not a number from 1 to 65535", s, port)
	}
	return nil
}

// isHostname allows the underscore, which names in private zones have.
func isHostname(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	return s != "" && len(s) <= 253 && strings.Trim(s, letters+".-_") == "" && strings.Trim(s[:1], letters) == "" &&
		!strings.Contains(s, "..")
}
