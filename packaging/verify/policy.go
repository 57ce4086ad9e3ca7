package verify

// A Policy says which findings count: what .vpkg-verify.yaml holds. The zero value
// is the default.
type Policy struct {
	// Disable names rules that find nothing, ours and those of MSI ("ICE33") and of
	// linters ("rpmlint:no-documentation", "shellcheck:SC2086").
	Disable []string `yaml:"disable"`

	// Severity gives rules another severity than their own.
	Severity map[string]Severity `yaml:"severity"`

	// Except lists rules that pass over some paths.
	Except []Exception `yaml:"except"`

	// Installed is about hosts.
	Installed Installed `yaml:"installed"`
}

// An Exception says that a rule passes over paths.
type Exception struct {
	Rule   string   `yaml:"rule"`
	Paths  []string `yaml:"paths"`  // as in a manifest's match: "/opt/agent/**"
	Reason string   `yaml:"reason"` // is wanted
}

// A Treatment says what becomes of a difference in a kind of files.
type Treatment string

// The treatments.
const (
	MustMatch Treatment = "must-match" // each difference is a finding
	MayDiffer Treatment = "may-differ" // content, size and times may; owner, mode and type are findings
	Ignore    Treatment = "ignore"     // nothing is a finding, not even that it is missing or extra
)

// Installed says how the kinds of files of an installed host are treated.
type Installed struct {
	Config  Treatment `yaml:"config"`  // files marked as configuration; empty means MayDiffer
	Log     Treatment `yaml:"log"`     // files in folders named log or logs, and *.log; empty means Ignore
	Runtime Treatment `yaml:"runtime"` // what is in the data folders that the hook makes, in /run and in the state's folder; empty means Ignore
	Ghost   Treatment `yaml:"ghost"`   // files owned but not in the payload; empty means Ignore

	Ignore []string `yaml:"ignore"` // further paths, as in a manifest's match
}
