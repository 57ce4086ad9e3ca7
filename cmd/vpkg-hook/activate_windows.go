package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/vpkg/vpkg/hooks"
)

// activationTime is how long an installation waits for the server. The service goes
// on trying.
const activationTime = "60s"

// takeArgumentCodes finds the activation codes among the arguments, so that they
// are in no message.
func takeArgumentCodes(args []string, codes map[string]string) {
	if code := property(args, codeVariable); code != "" {
		codes[codeVariable] = code
	}
	if _, code, given := splitCode(args); given {
		codes["activate"] = code
	}
}

// systemCommand does what only Windows has: the custom action activate, and all of the
// control program, which is this one under a name that ends in -ctl.
func systemCommand(ctx context.Context, args []string, codes map[string]string, stdout, stderr io.Writer) (status int, done bool) {
	if name, ok := controlName(os.Executable()); ok {
		return control{name, stdout, stderr}.run(ctx, args, codes), true
	}
	if len(args) == 0 || args[0] != "activate" {
		return 0, false
	}
	if err := activateAction(ctx, args, codes, stderr); err != nil {
		fmt.Fprintf(stderr, "vpkg-hook: %v\n", err)
	}
	// A failure does not fail the installation. But of a program that ends with
	// anything but 0, Windows Installer may log the command line, with the code.
	return 0, true
}

// activateAction is the custom action that makes the host an agent of a server, if
// properties say of which:
//
//	vpkg-hook activate --format msi -- MANAGEMENT_SERVER=HOST:PORT ACTIVATION_FILE=… ACTIVATION_CODE=… PROFILE_ID=…
//
// The file has the code alone and is left as it is, for it is the administrator's.
// With ROLLBACK=1 it takes that back, unless the host was activated before.
func activateAction(ctx context.Context, args []string, codes map[string]string, stderr io.Writer) error {
	c, err := readConfig()
	if err != nil {
		return err
	}
	host := hostFor(c, args)
	server, profile := property(args, "MANAGEMENT_SERVER"), property(args, "PROFILE_ID")
	code, err := actionCode(property(args, "ACTIVATION_FILE"), property(args, codeVariable))
	if code != "" {
		codes["file"] = code
	}
	log, closeLog := openLog(host, c.LogFile(), codes, stderr)
	defer closeLog()
	agent := agentProgram{c, host, log}
	switch {
	case property(args, "ROLLBACK") == "1":
		return agent.takeBack(ctx)
	case err == nil && code == "" && server == "":
		return nil // it is to be activated later
	case err == nil && code == "":
		err = errors.New("MANAGEMENT_SERVER is set, but neither ACTIVATION_FILE nor ACTIVATION_CODE")
	case err == nil && server == "":
		err = errors.New("there is an activation code, but MANAGEMENT_SERVER is not set")
	case err == nil && !hooks.IsServer(server):
		err = fmt.Errorf("MANAGEMENT_SERVER is %q: want HOST:PORT", server)
	}
	if err == nil {
		err = agent.mark()
	}
	if err == nil {
		log.Info("activating", "server", server)
		words := []string{"--management-server", server, "--timeout", activationTime}
		if profile != "" {
			words = append(words, "--profile-id", profile)
		}
		err = agent.activate(ctx, code, words, func(ctx context.Context, args ...string) error {
			_, err := host.Run(ctx, append([]string{c.Agent()}, args...)...)
			return err
		})
	}
	if err != nil {
		err = fmt.Errorf("not activated: %w", err)
		log.Error(err.Error())
		return err
	}
	log.Info("activated", "server", server)
	return nil
}

// maxCodeFile bounds a file with a code, in bytes.
const maxCodeFile = 64 << 10

// actionCode is the activation code of a file, or else the other one. It is one
// word and in no error.
func actionCode(file, code string) (string, error) {
	if file != "" {
		f, err := os.Open(file) //nolint:gosec // whoever installs names it
		if err != nil {
			return "", fmt.Errorf("ACTIVATION_FILE: %w", err)
		}
		defer f.Close() // only read
		b, err := io.ReadAll(io.LimitReader(f, maxCodeFile))
		if err != nil {
			return "", fmt.Errorf("ACTIVATION_FILE: %w", err)
		}
		if code = strings.TrimSpace(strings.TrimPrefix(string(b), "\ufeff")); code == "" { // PowerShell 5 begins a file so
			return "", fmt.Errorf("ACTIVATION_FILE: %s is empty", file)
		}
	}
	if code = strings.TrimSpace(code); strings.ContainsFunc(code, func(r rune) bool { return r <= ' ' || r > '~' }) || len(code) > 1024 {
		return "", errors.New("the activation code is not one word")
	}
	return code, nil
}

// An agentProgram is the installed vpkg-agent.
type agentProgram struct {
	c    hooks.Config
	host hooks.Host
	log  hooks.Logger
}

// mark writes down that the host was not activated before.
func (a agentProgram) mark() error {
	_, err := a.host.Stat(a.c.Data + "/etc/agent_id.cfg")
	if errors.Is(err, os.ErrNotExist) {
		return a.host.WriteFile(a.c.State()+activatingFile, nil, 0o600)
	}
	if rerr := a.host.Remove(a.c.State() + activatingFile); err == nil && !errors.Is(rerr, os.ErrNotExist) {
		err = rerr
	}
	return err
}

// takeBack has the agent forget its server, and a code that it still tries, if the
// installation that is taken back has brought them.
func (a agentProgram) takeBack(ctx context.Context) error {
	mark := a.c.State() + activatingFile
	if _, err := a.host.Stat(mark); err != nil {
		return nil //nolint:nilerr // there is nothing to take back
	}
	_, err := a.host.Run(ctx, a.c.Agent(), "deactivate", "--no-apply")
	if err = errors.Join(err, a.host.Remove(mark)); err != nil {
		err = fmt.Errorf("taking the activation back: %w", err)
		a.log.Error(err.Error())
	}
	return err
}

// activate has run call the agent with the code in a file that is private, for a
// command line can be seen by everybody.
func (a agentProgram) activate(ctx context.Context, code string, args []string, run func(context.Context, ...string) error) error {
	file, err := a.host.Locate(a.c.ActivationCode())
	if err != nil {
		return err
	}
	if err := a.host.WriteFile(a.c.ActivationCode(), []byte(code+"\n"), 0o600); err != nil {
		return err
	}
	defer eraseCode(a.c, a.host, a.log)
	return run(ctx, append([]string{"activate", "--activation-code-file", file}, args...)...)
}
