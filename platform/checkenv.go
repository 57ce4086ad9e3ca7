//go:build linux || windows

package platform

import (
	"fmt"

	"github.com/vpkg/vpkg/hooks/tinyjson"
)

// A Check is one thing that `vpkg-hook check-env` looked at.
type Check struct {
	Name   string `json:"name"`   // "packet filter"
	Result string `json:"result"` // CheckOK, CheckWarning or CheckError
	Detail string `json:"detail,omitempty"`
}

// The results of a check.
const (
	CheckOK      = "ok"
	CheckWarning = "warning" // it works, but not all of it
	CheckError   = "error"   // it does not
)

// What must be free for the program and its data, and what should be, in bytes.
const (
	spaceNeeded = 500 << 20
	spaceWanted = 1500 << 20
)

// reportChecks prints what was looked at. The exit status is 1 if something stands in
// the way.
func (p Product) reportChecks(checks []Check, asJSON bool) int {
	status := platformDone
	for _, c := range checks {
		if c.Result == CheckError {
			status = platformFailed
		}
	}
	if asJSON {
		b, err := tinyjson.Marshal(checks)
		if err != nil {
			return p.fail("check-env", err)
		}
		p.print("%s\n", b)
		return status
	}
	for _, c := range checks {
		p.print("%-8s %s", c.Result, c.Name)
		if c.Detail != "" {
			p.print(": %s", c.Detail)
		}
		p.print("\n")
	}
	return status
}

// withSpace adds what free bytes mean.
func (c Check) withSpace(free int64) Check {
	c.Detail = fmt.Sprintf("%d MB free", free>>20)
	switch {
	case free < spaceNeeded:
		c.Result = CheckError
		c.Detail += fmt.Sprintf(", want %d", spaceNeeded>>20)
	case free < spaceWanted:
		c.Result = CheckWarning
		c.Detail += fmt.Sprintf(", %d are better", spaceWanted>>20)
	}
	return c
}
