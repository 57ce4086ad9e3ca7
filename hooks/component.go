package hooks

// A Component is one process of the product, which a supervisor keeps running:
// systemd, by the unit NAME.service, or `vpkg-agent monitor`.
type Component struct {
	Name    string   `json:"name"`              // "venAgentMgr"
	Program string   `json:"program,omitempty"` // relative to the program folder; empty means bin/NAME
	Args    []string `json:"args,omitempty"`
	Root    bool     `json:"root,omitempty"` // runs as root; else as the account
}

// ProgramPath is Program, or its default.
func (c Component) ProgramPath() string {
	if c.Program == "" {
		return "bin/" + c.Name
	}
	return c.Program
}
