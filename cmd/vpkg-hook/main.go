// Vpkg-hook is what the scriptlets of a package call. It does on the host what
// the package needs besides its files: accounts, folders, units; see package
// hooks.
//
// Its command line is the same in every version, for the scriptlets of one
// version call the hook of another: on an upgrade rpm's old %preun calls the new
// hook, on a downgrade the newer version's calls the older one. What it does not
// know it logs, and leaves the host as it is.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/platform"
)

const usage = `Usage: vpkg-hook PHASE --format rpm|deb|msi -- [ARGUMENT...]
       vpkg-hook version

PHASE is pre-install, post-install, pre-remove, post-remove, pre-trans or
post-trans; the arguments are those that the package manager gave to the
scriptlet. Package managers call these: there is no need to.

`

// interfaceVersion is that of the command line.
const interfaceVersion = 1

func main() {
	if os.Getenv("PATH") == "" {
		os.Setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
	}
	if err := enterHostNetwork(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "vpkg-hook: warning: %v\n", err)
	}
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (status int) {
	codes := takeCodes()
	takeArgumentCodes(args, codes)
	stderr = redacted(stderr, codes)
	if status, done := systemCommand(ctx, args, codes, stdout, stderr); done {
		return status
	}
	if len(args) == 0 {
		fmt.Fprint(stderr, usage+platform.Usage)
		return 2
	}
	switch args[0] {
	case "help", "-h", "--help":
		fmt.Fprint(stdout, usage+platform.Usage)
		return 0
	case "version", "--version":
		return version(stdout)
	case "platform":
		return product(ctx, args[1:], codes, stdout, stderr)
	case "check-env", "gen-supportreport", "suspend", "unsuspend", "unpair":
		return product(ctx, args, codes, stdout, stderr)
	case "verify":
		return verify(ctx, args[1:], stdout, stderr)
	}
	if err := event(ctx, args, codes, stderr); err != nil {
		fmt.Fprintf(stderr, "vpkg-hook: %v\n", err)
		if stops(hooks.Phase(args[0])) && !errors.Is(err, hooks.ErrUnknown) {
			return 1
		}
	}
	return 0
}

// stops reports whether a failure in the phase may stop the package manager. On
// the way out it must not, or the package could never be removed.
func stops(p hooks.Phase) bool { return p == hooks.PreInstall || p == hooks.PostInstall }

// product does something with the running product.
func product(ctx context.Context, args []string, codes map[string]string, stdout, stderr io.Writer) int {
	c, err := readConfig()
	if err != nil {
		fmt.Fprintf(stderr, "vpkg-hook: %v\n", err)
		return 1
	}
	host := hostFor(c, nil)
	log, closeLog := openLog(host, c.LogFile(), codes, stderr)
	defer closeLog()
	p := platform.Product{Config: c, Sys: system(host), Log: log, Stdout: stdout, Stderr: stderr}
	status := p.Run(ctx, args)
	log.Info("done", "args", args, "status", status, "cpu", cpu())
	return status
}

func version(stdout io.Writer) int {
	c, err := readConfig()
	if err != nil {
		fmt.Fprintf(stdout, "vpkg-hook %d\n", interfaceVersion)
		return 0
	}
	fmt.Fprintf(stdout, "vpkg-hook %d (%s %s)\n", interfaceVersion, c.Name, c.Version)
	return 0
}

// event does what one call of a scriptlet means.
func event(ctx context.Context, args []string, codes map[string]string, stderr io.Writer) error {
	c, err := readConfig()
	if err != nil {
		return err
	}
	host := hostFor(c, args)
	host.Root = strings.TrimRight(os.Getenv("DPKG_ROOT"), "/")
	log, closeLog := openLog(host, c.LogFile(), codes, stderr)
	defer closeLog()
	if err := logged(ctx, args, c, host, codes, log); err != nil {
		log.Error("left undone", "args", args, "error", err)
		return err
	}
	return nil
}

// logged does what one call of a scriptlet means; the caller logs the error.
func logged(ctx context.Context, args []string, c hooks.Config, host hooks.Host, codes map[string]string, log hooks.Logger) error {
	call, err := parse(args)
	if err != nil {
		return err
	}
	sys := system(host)
	was, err := hooks.ReadInstalled(sys, c.Name)
	if errors.Is(err, hooks.ErrUnknown) {
		return err
	}
	if err != nil {
		log.Warn("the installed state cannot be read: going on without", "error", err)
	}
	e, err := call.event(c, was)
	if err != nil {
		return err
	}
	if err := choose(ctx, &e, c, host, call.format, log); err != nil {
		return err
	}
	activation(&e, c, sys, codes, log)
	log.Info("called", "args", args, "package", c.Name, "version", c.Version, "action", e.Action)
	err = hooks.Run(ctx, e, hooks.Plan(e, c), sys, log)
	eraseCode(c, sys, log) // whatever became of it

	// An activation is no longer taken back then.
	if c.Windows && e.Phase == hooks.PostInstall && !e.Open {
		if rerr := sys.Remove(c.State() + activatingFile); rerr != nil && !errors.Is(rerr, os.ErrNotExist) {
			log.Warn("the mark of an activation is still there", "error", rerr)
		}
	}
	if err != nil {
		return err
	}
	log.Info("done", "phase", e.Phase, "cpu", cpu())
	return nil
}

// activatingFile is in the state's folder while an activation can be taken back.
const activatingFile = "/activating"

// eraseCode sees to it that the code does not lie about: the agent has its own. What
// is removed alone can still be read on the disk.
func eraseCode(c hooks.Config, sys hooks.System, log hooks.Logger) {
	if a, err := sys.Stat(c.ActivationCode()); err == nil && a.Mode.IsRegular() {
		if err := errors.Join(sys.Set(c.ActivationCode(), strings.Repeat("0", 4096)), sys.Sync(c.ActivationCode())); err != nil {
			log.Warn("the activation code is not overwritten", "error", err)
		}
	}
	if err := sys.Remove(c.ActivationCode()); err != nil && !errors.Is(err, os.ErrNotExist) {
		log.Warn("the activation code is still on the disk", "error", err)
	}
}

type call struct {
	phase  hooks.Phase
	format string // "rpm", "deb" or "msi"
	args   []string
}

// event is what the call means.
func (c call) event(config hooks.Config, was hooks.Installed) (hooks.Event, error) {
	switch c.format {
	case "rpm":
		return hooks.FromRPM(c.phase, c.args, config, was)
	case "msi":
		return hooks.FromMSI(c.phase, c.args, config, was)
	default:
		return hooks.FromDeb(c.phase, c.args, config, was)
	}
}

// parse reads PHASE --format F -- ARGS.
func parse(args []string) (call, error) {
	c := call{phase: hooks.Phase(args[0])}
	if !slices.Contains(hooks.Phases, c.phase) {
		return call{}, fmt.Errorf("phase %q: %w", args[0], hooks.ErrUnknown)
	}
	for rest := args[1:]; len(rest) > 0; rest = rest[1:] {
		switch flag, value, joined := strings.Cut(rest[0], "="); {
		case rest[0] == "--":
			c.args, rest = rest[1:], rest[:1]
		case flag == "--format" && joined:
			c.format = value
		case flag == "--format" && len(rest) > 1:
			c.format, rest = rest[1], rest[1:]
		default:
			return call{}, fmt.Errorf("option %q: %w", rest[0], hooks.ErrUnknown)
		}
	}
	if c.format != "rpm" && c.format != "deb" && c.format != "msi" {
		return call{}, fmt.Errorf("format %q: %w", c.format, hooks.ErrUnknown)
	}
	return c, nil
}

// choose adds to the event what environment and surroundings decide.
func choose(ctx context.Context, e *hooks.Event, c hooks.Config, host hooks.Host, format string, log hooks.Logger) error {
	if c.EnvPrefix != "" {
		name := c.EnvPrefix + "NONPRIV_USER"
		if user := os.Getenv(name); user != "" {
			if !hooks.IsUser(user) {
				return fmt.Errorf("%s: %q is not a user's name", name, user)
			}
			e.User = user
		}
	}
	s := host.Surroundings()
	e.Labels = s.Labels && host.Root == ""
	if format == "deb" && stops(e.Phase) && len(c.Units) > 0 {
		_, err := host.Run(ctx, "/usr/sbin/policy-rc.d", strings.TrimSuffix(c.Units[0].Name, ".service"), "start")
		if refusal, ok := errors.AsType[*hooks.ExitError](err); ok && refusal.Status == 101 { // Debian Policy 9.3.3.1
			s.Refused = true
		}
	}
	if why := s.Offline(c); why != "" {
		e.Offline = true
		log.Info("offline: nothing is started", "because", why)
	}
	return nil
}

// activation prepares what the variables ask for: INSTALL_ACTION=activate with a
// server and a code. It never makes an installation fail.
func activation(e *hooks.Event, c hooks.Config, sys hooks.System, codes map[string]string, log hooks.Logger) {
	if c.Windows || c.EnvPrefix == "" || e.Phase != hooks.PostInstall || e.Action == hooks.Rollback || os.Getenv(c.EnvPrefix+"INSTALL_ACTION") != "activate" {
		return
	}
	server, code := os.Getenv(c.EnvPrefix+"MANAGEMENT_SERVER"), codes[c.EnvPrefix+codeVariable]
	switch {
	case server == "" || code == "":
		log.Warn("not activated: " + c.EnvPrefix + "INSTALL_ACTION=activate needs " + c.EnvPrefix + "MANAGEMENT_SERVER and " + c.EnvPrefix + codeVariable)
	case !hooks.IsServer(server):
		log.Warn("not activated: "+c.EnvPrefix+"MANAGEMENT_SERVER: want HOST:PORT", "it is", server)
	case e.Offline:
		log.Warn("not activated: nothing is started here")
	default:
		if err := sys.WriteFile(c.ActivationCode(), []byte(code+"\n"), 0o600); err != nil {
			log.Warn("not activated", "error", err)
			return
		}
		e.Activate = server
	}
}

// readConfig finds the configuration in the hook, where a package for Windows has it,
// or by the hook's own path: beside the hook of a DEB's control archive, else in the
// payload.
func readConfig() (hooks.Config, error) {
	if b := embeddedConfig(); b != nil {
		return hooks.ParseConfig(b)
	}
	exe, err := os.Executable()
	if err != nil { // an image without /proc
		exe = os.Args[0]
	}
	b, err := os.ReadFile(exe + "-config") //nolint:gosec // the hook's own path, from the package's scriptlet
	if errors.Is(err, os.ErrNotExist) {
		b, err = os.ReadFile(filepath.Join(filepath.Dir(exe), "..", hooks.ConfigFile)) //nolint:gosec // as above
	}
	if err != nil && runtime.GOOS == "windows" { // the control program is not in bin
		b, err = os.ReadFile(filepath.Join(filepath.Dir(exe), hooks.ConfigFile)) //nolint:gosec // as above
	}
	if err != nil {
		return hooks.Config{}, err
	}
	return hooks.ParseConfig(b)
}
