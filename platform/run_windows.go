package platform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/windows"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/hooks/tinyjson"
)

// noFilter is what is said wherever a policy would have to be put in force.
const noFilter = "the reference agent does not drive the packet filter of Windows (WFP)"

var errNoFilter = errors.New(noFilter)

// Run carries out `vpkg-hook ARGS` and returns the exit status. The components are
// services; what has to do with a packet filter says that there is none.
func (p Product) Run(ctx context.Context, args []string) int {
	if len(args) == 0 {
		return p.misused()
	}
	verb, rest := args[0], args[1:]
	asJSON := slices.Equal(rest, []string{"--json"})
	s := services{p.Sys, p.Config.Units}
	switch {
	case verb == "unpair":
		return p.unpair(ctx, rest)
	case len(rest) > 0 && (!asJSON || verb != "status" && verb != "check-env"):
		return p.misused()
	}
	switch verb {
	case "status":
		return p.status(ctx, s, asJSON)
	case "start":
		return p.start(ctx, s)
	case "stop":
		return p.stop(ctx, s)
	case "restart":
		if status := p.stop(ctx, s); status != platformDone {
			return status
		}
		return p.start(ctx, s)
	case "check-env":
		return p.checkEnv(ctx, asJSON)
	case "restore": // nothing of the host was changed
		return platformDone
	}
	do, known := map[string]func(context.Context) error{
		"apply":             p.apply,
		"gen-supportreport": p.supportReport,
		"suspend":           func(context.Context) error { return errNoFilter },
		"unsuspend":         func(context.Context) error { return errNoFilter },
		"boot":              func(context.Context) error { return errNoFilter },
		"monitor":           func(context.Context) error { return errors.New("it is a service: " + MonitorComponent) },
	}[verb]
	if !known {
		return p.misused()
	}
	if err := do(ctx); err != nil {
		return p.fail(verb, err)
	}
	return platformDone
}

func (p Product) taken() (bool, error) { return false, nil }

func (p Product) note() string { return "Policies are not put in force: " + noFilter }

// agentState is how the product stands to its server: paired when it has an id. A
// policy is never in force.
func (p Product) agentState() (state, version string) {
	if _, err := p.Sys.Stat(path.Join(p.Config.Data, "etc/agent_id.cfg")); err != nil {
		return AgentUnpaired, ""
	}
	return AgentIdle, ""
}

// apply reports for the policy in the data folder that it is not in force, unless it
// asks for nothing. The manager tells the server.
func (p Product) apply(context.Context) error {
	policy, err := p.received()
	status := PolicyStatus{At: time.Now().UTC()}
	switch {
	case err != nil || policy == nil:
	case policy.rules():
		err = fmt.Errorf("policy %q is not in force: %w", policy.Version, errNoFilter)
	default:
		status.Version, status.InForce = policy.Version, true
	}
	if err != nil {
		status.Error = err.Error()
	}
	return errors.Join(err, writeJSON(p.Sys, p.Config.PolicyStatus(), status))
}

// received reads the policy that the manager put into the data folder. Without one
// it returns nil.
func (p Product) received() (*Policy, error) {
	name := path.Join(p.Config.Data, PolicyFile)
	b, err := p.Sys.ReadFile(name)
	if isMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var policy Policy
	if err := tinyjson.Unmarshal(b, &policy); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &policy, nil
}

// policyInterval is how often the monitor looks for another policy.
const policyInterval = time.Second

// Monitor looks for other policies until ctx ends, and says of each, as apply does
// and as a line of events, whether it is in force.
func (p Product) Monitor(ctx context.Context, events io.Writer) error {
	var seen string
	for first := true; ; first = false {
		if stamp := p.policyStamp(); first || stamp != seen {
			seen = stamp
			kind, text := "policy.applied", "nothing is to be enforced"
			if err := p.apply(ctx); err != nil {
				kind, text = "platform.error", err.Error()
				p.Log.Error(text)
			}
			line := fmt.Sprintf("%s %s %s\n", time.Now().UTC().Format(time.RFC3339), kind, text)
			if _, err := io.WriteString(events, line); err != nil {
				p.Log.Warn("the event is not in the event log", "event", line, "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(policyInterval):
		}
	}
}

// policyStamp tells one file of a policy from the next.
func (p Product) policyStamp() string {
	info, err := os.Lstat(p.locate(path.Join(p.Config.Data, PolicyFile)))
	if err != nil {
		return ""
	}
	return fmt.Sprint(info.ModTime().UnixNano(), info.Size())
}

// checkEnv reports what stands in the way of the product on this host.
func (p Product) checkEnv(ctx context.Context, asJSON bool) int {
	checks := []Check{{"administrator", CheckOK, ""}, {"packet filter", CheckWarning, noFilter}}
	if !windows.GetCurrentProcessToken().IsElevated() {
		checks[0] = Check{"administrator", CheckError, "this is none: run it from an elevated prompt"}
	}
	states, err := services{p.Sys, p.Config.Units}.states(ctx)
	c := Check{Name: "services", Result: CheckOK}
	for _, s := range states {
		if s.Status != "" {
			c.Result, c.Detail = CheckError, s.Name+" "+s.Status
		}
	}
	if err != nil {
		c.Result, c.Detail = CheckError, err.Error()
	}
	checks = append(checks, c)
	for _, dir := range []string{p.Config.Program, p.Config.Data} {
		if dir != "" {
			checks = append(checks, p.checkFolder(dir))
		}
	}
	return p.reportChecks(checks, asJSON)
}

// checkFolder looks at a folder and at the space that its drive has.
func (p Product) checkFolder(dir string) Check {
	name := p.locate(dir)
	c := Check{Name: "space for " + name, Result: CheckOK}
	if _, err := p.Sys.Stat(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.Result, c.Detail = CheckError, err.Error()
		return c
	}
	var free uint64 // bytes
	root, err := windows.UTF16PtrFromString(volume(name))
	if err == nil {
		err = windows.GetDiskFreeSpaceEx(root, &free, nil, nil)
	}
	if err != nil {
		c.Result, c.Detail = CheckWarning, err.Error()
		return c
	}
	return c.withSpace(int64(free))
}

// locate is where a path of the configuration is on this host, as far as that is
// known.
func (p Product) locate(name string) string {
	if h, ok := p.Sys.(hooks.Host); ok {
		if found, err := h.Locate(name); err == nil {
			return found
		}
	}
	return name
}

// volume is `C:\` of `C:\x`.
func volume(name string) string {
	if i := strings.IndexByte(name, '\\'); i > 0 {
		return name[:i+1]
	}
	return name
}
