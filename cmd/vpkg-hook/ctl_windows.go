package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/windows"

	"github.com/vpkg/vpkg/hooks"
)

const controlUsage = `Usage: %s COMMAND [OPTION...]

Pairing:
  activate           pair with a server:
                     -management-server HOST:PORT, -activation-code-file FILE
                     [-proxy-server HOST:PORT] [-ca-file FILE] [-enforcement_mode M]
                     [-role R] [-app A] [-env E] [-loc L] [-timeout 60s] [-insecure]
                     -activation-code CODE works too, but others can read it in the
                     list of processes
  deactivate         leave the server
  unpair open|saved|recommended|unmanaged [noreport]
                     leave the server and remove the product with all its data. The
                     firewall of Windows was never changed, and stays as it is
  prepare            stop, and forget who this machine is: for its image
Running:
  start stop restart the services
  suspend unsuspend  not on Windows: the packet filter is left alone
Looking:
  status [--json]    exit status 0 if all services run, 3 if none does, 1 if some do not
  agent-status       how the pairing stands; exit status 0 if the product is paired and
                     runs, 1 if not
  check-env [--json] report what stands in the way on this machine
  verify [--json]    compare files and services with what was installed; exit status
                     1 if something differs
  connectivity-test  try to reach the server; also "conncheck"
  gen-supportreport  write a report without secrets
  version            print the version

All but version need an administrator.
`

// A control is one run of the control program.
type control struct {
	name           string
	stdout, stderr io.Writer
}

// run returns the exit status.
func (c control) run(ctx context.Context, args []string, codes map[string]string) int {
	if len(args) == 0 {
		fmt.Fprintf(c.stderr, controlUsage, c.name)
		return 2
	}
	verb, rest := args[0], args[1:]
	config, err := readConfig()
	if err != nil {
		return c.fail(err)
	}
	switch verb {
	case "help", "-h", "--help", "/?":
		fmt.Fprintf(c.stdout, controlUsage, c.name)
		return 0
	case "version":
		if len(rest) > 0 {
			return c.misused()
		}
		fmt.Fprintln(c.stdout, config.Version)
		return 0
	case "activate", "unpair":
	case "status", "check-env", "verify":
		if len(rest) > 0 && !slices.Equal(rest, []string{"--json"}) {
			return c.misused()
		}
	case "deactivate", "prepare", "start", "stop", "restart", "suspend", "unsuspend", "agent-status", "connectivity-test", "conncheck", "gen-supportreport":
		if len(rest) > 0 {
			return c.misused()
		}
	default:
		return c.misused()
	}
	if !windows.GetCurrentProcessToken().IsElevated() {
		return c.fail(fmt.Errorf("%s: must be run as an administrator", verb))
	}
	host := hostFor(config, nil)
	switch verb {
	case "activate":
		return c.activate(ctx, config, host, rest, codes)
	case "deactivate":
		return c.agent(config, host, "deactivate")
	case "connectivity-test", "conncheck":
		return c.agent(config, host, "connectivity-test")
	case "agent-status":
		return c.agentStatus(ctx, config, host, codes)
	case "prepare":
		return c.prepare(ctx, config, host, codes)
	case "verify":
		return verify(ctx, rest, c.stdout, c.stderr)
	case "unpair":
		defer stepAside()()
	}
	return product(ctx, args, codes, c.stdout, c.stderr)
}

func (c control) fail(err error) int {
	fmt.Fprintf(c.stderr, "%s: %v\n", c.name, err)
	return 1
}

func (c control) misused() int {
	fmt.Fprintf(c.stderr, controlUsage, c.name)
	return 2
}

// activate hands the code to the agent in a file.
func (c control) activate(ctx context.Context, config hooks.Config, host hooks.Host, args []string, codes map[string]string) int {
	args, code, given := splitCode(args)
	if !given {
		return c.agent(config, host, append([]string{"activate"}, args...)...)
	}
	fmt.Fprintf(c.stderr, "%s: warning: others can read a code in the list of processes: use -activation-code-file\n", c.name)
	log, closeLog := openLog(host, config.LogFile(), codes, c.stderr)
	defer closeLog()
	status := 0
	err := agentProgram{config, host, log}.activate(ctx, code, args, func(_ context.Context, args ...string) error {
		status = c.agent(config, host, args...)
		return nil
	})
	if err != nil {
		return c.fail(err)
	}
	return status
}

// agent runs the agent, which speaks for itself.
func (c control) agent(config hooks.Config, host hooks.Host, args ...string) int {
	program, err := host.Locate(config.Agent())
	if err != nil {
		return c.fail(err)
	}
	cmd := exec.Cmd{Path: program + ".exe", Args: append([]string{"vpkg-agent"}, args...), Stdin: os.Stdin, Stdout: c.stdout, Stderr: c.stderr}
	err = cmd.Run()
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return e.ExitCode()
	}
	if err != nil {
		return c.fail(err)
	}
	return 0
}

// agentStatus tells how the pairing stands, in the lines of Linux's agent_status.sh.
func (c control) agentStatus(ctx context.Context, config hooks.Config, host hooks.Host, codes map[string]string) int {
	has := func(file string) bool {
		_, err := host.Stat(config.Data + "/etc/" + file)
		return err == nil
	}
	var status strings.Builder
	product(ctx, []string{"status"}, codes, &status, c.stderr)
	// Without a policy there is none to put in force: the agent is idle.
	master := has("agent_id.cfg")
	policy := master
	if policy && has("policy.json") {
		b, err := host.ReadFile(config.PolicyStatus())
		policy = err == nil && !bytes.Contains(b, []byte(`"error"`))
	}
	paired := true
	line := func(what string, done bool, otherwise string) {
		result := "SUCCESS"
		if !done {
			result, paired = otherwise, false
		}
		fmt.Fprintf(c.stdout, "%s ......%s\n", what, result)
	}
	fmt.Fprintln(c.stdout, "Pairing Status")
	line("Pairing Configuration exists", has("agent_activation.cfg"), "FAILED")
	line("VEN Manager Daemon running", strings.Contains(status.String(), " venAgentMgrSvc running"), "FAILED")
	line("Master Configuration retrieval", master, "FAILED")
	line("VEN Configuration retrieval", policy, "PENDING")
	if !paired {
		fmt.Fprintln(c.stdout, "VEN is not paired with Illumio")
		return 1
	}
	fmt.Fprintln(c.stdout, "VEN has been SUCCESSFULLY paired with Illumio")
	return 0
}

// prepare makes an image of this machine one of no server's.
func (c control) prepare(ctx context.Context, config hooks.Config, host hooks.Host, codes map[string]string) int {
	if status := product(ctx, []string{"stop"}, codes, c.stdout, c.stderr); status != 0 {
		return status
	}
	for _, file := range []string{"agent_id.cfg", "agent_token", "agent_ca.pem", "activation_code", "activation_request", "policy.json"} {
		if err := host.Remove(config.Data + "/etc/" + file); err != nil && !errors.Is(err, os.ErrNotExist) {
			return c.fail(err)
		}
	}
	return product(ctx, []string{"apply"}, codes, c.stdout, c.stderr) // the policy was of this host
}

// stepAside lets Windows Installer remove this program while it runs: its file is
// moved away, which Windows allows, and removed when the machine starts next. back
// moves it back if the product was not removed.
func stepAside() (back func()) {
	exe, err := os.Executable()
	if err != nil {
		return func() {}
	}
	system, err := windows.GetSystemWindowsDirectory()
	if err != nil {
		return func() {}
	}
	aside := filepath.Join(system, "Temp", fmt.Sprintf("vpkg-%d-%s", os.Getpid(), filepath.Base(exe)))
	if err := os.Rename(exe, aside); err != nil {
		return func() {} // another drive: then a restart removes it
	}
	return func() {
		if _, err := os.Stat(filepath.Join(filepath.Dir(exe), "bin")); err == nil {
			os.Rename(aside, exe) //nolint:errcheck // it is where it is
			return
		}
		if p, err := windows.UTF16PtrFromString(aside); err == nil {
			windows.MoveFileEx(p, nil, windows.MOVEFILE_DELAY_UNTIL_REBOOT) //nolint:errcheck // a file in Temp
		}
	}
}
