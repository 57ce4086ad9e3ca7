package platform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/hooks"
)

// What the host's firewall is to be after an unpairing.
const (
	unpairSaved       = "saved"       // as it was before the product came
	unpairRecommended = "recommended" // SSH and ICMP are let in until the next boot
	unpairOpen        = "open"        // everything is let in
)

// unpair ends everything: the server is told, the firewall becomes what was asked
// for, and package, data and account go. A step that fails is told, and the rest
// is done all the same, for half of it is the worst.
func (p Product) unpair(ctx context.Context, around hooks.Surroundings, args []string) int {
	ways := []string{unpairSaved, unpairRecommended, unpairOpen}
	noReport := len(args) == 2 && args[1] == "noreport"
	if len(args) == 0 || len(args) == 2 && !noReport || len(args) > 2 || !slices.Contains(ways, args[0]) {
		return p.misused()
	}
	var errs []error
	step := func(what string, err error) {
		p.result("Unpair", what, err)
		errs = append(errs, err)
	}
	if !noReport {
		step("Support report "+p.Config.Report(), p.supportReport(ctx))
	}
	s := p.supervisor(around)
	step("Stopping the components", s.stop(ctx, func(_ string, err error) { errs = append(errs, err) }))
	_, err := p.Sys.Run(ctx, p.Config.Agent(), "deactivate", "--no-apply")
	step("Telling the server", err)
	step("Restoring the firewall ("+args[0]+")", p.giveBack(ctx, args[0]))
	step("Removing the package", p.removePackage(ctx))
	step("Removing data and account", p.removeRest(ctx))
	if errors.Join(errs...) != nil {
		return platformFailed
	}
	p.print("The VEN has been SUCCESSFULLY unpaired with %s\n", strings.ToUpper(args[0][:1])+args[0][1:])
	return platformDone
}

// removePackage has the package manager that installed the package remove it.
func (p Product) removePackage(ctx context.Context) error {
	name := p.Config.Name
	for _, m := range []struct{ query, remove []string }{
		{[]string{"rpm", "-q", name}, []string{"rpm", "-e", name}},
		{[]string{"dpkg-query", "-W", name}, []string{"dpkg", "--purge", name}},
	} {
		if _, err := p.Sys.Run(ctx, m.query...); err == nil {
			_, err := p.Sys.Run(ctx, m.remove...)
			return err
		}
	}
	p.Log.Warn("neither rpm nor dpkg knows the package: there is none to remove", "name", name)
	return nil
}

// removeRest removes what a removal of the package keeps: its data and what the
// hook made.
func (p Product) removeRest(ctx context.Context) error {
	c := p.Config
	made, err := p.Sys.ReadFile(p.state("made"))
	if err != nil && !isMissing(err) {
		return err
	}
	errs := []error{os.RemoveAll(c.Data)}
	for line := range strings.Lines(string(made)) {
		kind, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		if kind == "user" {
			errs = append(errs, p.removeAccount(ctx, "-user", name, "userdel"))
		}
	}
	for line := range strings.Lines(string(made)) { // a user's group goes after the user
		kind, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		if kind == "group" {
			errs = append(errs, p.removeAccount(ctx, "-group", name, "groupdel"))
		}
	}
	// The recovery file is all that a person may still need.
	if _, err := p.Sys.Stat(p.state("recovery.txt")); err == nil {
		p.print("%s says what is left to do\n", p.state("recovery.txt"))
		return errors.Join(errs...)
	}
	errs = append(errs, os.RemoveAll(c.State()), removeFile(p.Sys, c.LogFile()))
	if err := p.Sys.Remove("/var/lib/vpkg"); err != nil && !errors.Is(err, os.ErrExist) && !isMissing(err) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// ownedIn are the folders that are searched for files of an account before it is
// removed: files of nobody would fall to the next account of that number.
var ownedIn = []string{"/etc", "/home", "/opt", "/srv", "/usr/local", "/var"}

// removeAccount removes a user or group that vpkg made, unless files are theirs.
func (p Product) removeAccount(ctx context.Context, test, name, program string) error {
	if _, err := p.Sys.Run(ctx, "getent", map[string]string{"-user": "passwd", "-group": "group"}[test], name); err != nil {
		return nil //nolint:nilerr // there is none: userdel has removed the user's own group too
	}
	argv := append(append([]string{"find"}, ownedIn...), "-xdev", test, name, "-print", "-quit")
	out, err := p.Sys.Run(ctx, argv...)
	if _, failed := errors.AsType[*hooks.ExitError](err); err != nil && !failed { // a folder that is not there is one
		if !errors.Is(err, exec.ErrNotFound) {
			return err
		}
		out = "find is not installed"
	}
	if out = strings.TrimSpace(out); out != "" {
		p.Log.Warn("the account is kept, for files are its own", "account", name, "such as", out)
		return nil
	}
	if _, err := p.Sys.Run(ctx, program, name); err != nil {
		return fmt.Errorf("%s %s: %w", program, name, err)
	}
	return nil
}
