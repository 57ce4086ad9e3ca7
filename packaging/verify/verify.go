// Package verify says what is wrong with a package, as findings: each has a rule
// with a name, a severity, a line on what is wrong and a line on what to do about it.
//
// It reads no package file: a Format does. Installed hosts are looked at in package
// installed, which gives findings of the same kind, under the same policy.
package verify

import "fmt"

// A Severity says how much a finding matters.
type Severity uint8

// The severities, from the least.
const (
	Info    Severity = iota // worth to know; never fails a verification
	Warning                 // fails a verification that is strict
	Error                   // fails a verification
)

var severities = [...]string{"info", "warning", "error"}

// String is the severity's name: "info", "warning" or "error".
func (s Severity) String() string {
	if int(s) >= len(severities) {
		return fmt.Sprintf("Severity(%d)", uint8(s))
	}
	return severities[s]
}

// MarshalText gives String.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what String gives.
func (s *Severity) UnmarshalText(b []byte) error {
	for i, name := range severities {
		if name == string(b) {
			*s = Severity(i)
			return nil
		}
	}
	return fmt.Errorf("severity %q: want info, warning or error", b)
}

// A Rule is what a finding is found by. Names are for people to write into a policy
// and for programs to rely on: they are added to, never changed.
type Rule struct {
	Name     string   // "world-writable"
	Severity Severity // unless a policy says another
	What     string   // one line: what is wrong where the rule finds something
	Do       string   // one line: what to do about it
	Explain  string   // paragraphs for `vpkg verify --explain`: why it matters, how it is found, when it may be passed over
}

// A Finding is one thing that is wrong. Names and forms of its JSON are for programs
// to rely on: they are added to, never changed.
type Finding struct {
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	Where    string   `json:"where,omitempty"` // a path, a scriptlet's phase with its line, a unit, a table's row
	Text     string   `json:"text"`            // one line: what is wrong here
	Do       string   `json:"do,omitempty"`    // one line: what to do about it
	// Want and Got are the values, where the finding is that two differ.
	Want string `json:"want,omitempty"`
	Got  string `json:"got,omitempty"`
}

// String gives "RULE SEVERITY: WHERE: TEXT".
func (f Finding) String() string {
	where := ""
	if f.Where != "" {
		where = f.Where + ": "
	}
	return fmt.Sprintf("%s %s: %s%s", f.Rule, f.Severity, where, f.Text)
}
