//go:build linux || windows

package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/vpkg/vpkg/agent"
	"github.com/vpkg/vpkg/hooks"
)

const (
	deactivateTimeout = 90 * time.Second // longer than an attempt of the service, for which it waits
	applyTimeout      = 2 * time.Minute
)

// variables are what the environment has for an activation.
type variables struct{ server, code string }

// takeVariables reads the variables and removes them, so that no child has them.
func takeVariables(prefix string) (variables, error) {
	if prefix == "" {
		return variables{}, nil
	}
	v := variables{server: os.Getenv(prefix + "MANAGEMENT_SERVER"), code: os.Getenv(prefix + "ACTIVATION_CODE")}
	return v, os.Unsetenv(prefix + "ACTIVATION_CODE")
}

// A console is what a command reads and writes.
type console struct {
	in       io.Reader
	out, err io.Writer
}

func (c console) warn(format string, args ...any) {
	fmt.Fprintf(c.err, "vpkg-agent: warning: "+format+"\n", args...)
}

// product is how the product is called in sentences.
func product(config hooks.Config) string {
	return cmp.Or(strings.TrimSuffix(config.EnvPrefix, "_"), config.Name)
}

// openActivator opens the data folder. close is to be called in the end.
func openActivator(ctx context.Context, config hooks.Config) (a agent.Activator, closeRoot func(), err error) {
	if config.Data == "" {
		return a, nil, fmt.Errorf("%s has no data folder", config.Name)
	}
	store := agent.Store{}
	if store.UID, store.GID, err = owners(ctx, config); err != nil {
		return a, nil, err
	}
	data, err := place(config, config.Data)
	if err != nil {
		return a, nil, err
	}
	store.Root, err = os.OpenRoot(data)
	if err != nil {
		return a, nil, err
	}
	return agent.Activator{Store: store, Version: config.Version, Host: thisHost()}, func() { store.Root.Close() }, nil
}

// activate is `vpkg-agent activate`.
func activate(ctx context.Context, config hooks.Config, o activateOptions, v variables, c console) error {
	if err := mayAdminister("activate"); err != nil {
		return err
	}
	a, closeRoot, err := openActivator(ctx, config)
	if err != nil {
		return err
	}
	defer closeRoot()
	if _, err := a.Store.Identity(); err == nil {
		fmt.Fprintf(c.out, "The %s is already activated\n", product(config))
		return a.Store.EraseCode()
	} else if !errors.Is(err, agent.ErrNotActivated) {
		return fmt.Errorf("the activation that is there is damaged, deactivate first: %w", err)
	}

	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("not within %v", o.timeout))
	defer cancel()
	settings, err := prepare(ctx, a, o, v, c)
	if err != nil {
		return fmt.Errorf("activating: %w", err)
	}
	if settings.Insecure {
		c.warn("INSECURE: the certificate of %s is not checked; whoever is in between can read the activation code and send policies", settings.Server)
	}
	if err := a.Activate(ctx); err != nil {
		if errors.Is(err, agent.ErrCode) {
			return fmt.Errorf("activating: %w; the code is erased", err)
		}
		if _, serr := a.Store.Root.Lstat(agent.CodeFile); serr == nil {
			return fmt.Errorf("activating: %w; the service goes on trying", err)
		}
		return fmt.Errorf("activating: %w", err)
	}
	if err := apply(context.WithoutCancel(ctx), config); err != nil {
		c.warn("%v", err)
	}
	_, err = fmt.Fprintf(c.out, "%s has been SUCCESSFULLY paired with %s\n", product(config), settings.Server)
	return err
}

// prepare writes the configuration and the code, unless those on disk are to be
// used. What is wrong is told before anything is written.
func prepare(ctx context.Context, a agent.Activator, o activateOptions, v variables, c console) (agent.ActivationConfig, error) {
	code, err := newCode(o.codeFile, v.code, c.in)
	if err != nil {
		return agent.ActivationConfig{}, err
	}
	if o.config.Server == "" {
		o.config.Server = v.server
	}
	settings := o.config
	if o.config.Server == "" {
		stored, unknown, err := a.Store.Config()
		if errors.Is(err, fs.ErrNotExist) {
			return settings, errors.New("no server is named: give --management-server")
		}
		if err != nil {
			return settings, err
		}
		for _, line := range unknown {
			c.warn("%s", line)
		}
		settings = o.over(stored)
		if code != "" {
			settings.Profile = o.config.Profile // what is stored was the profile of another code
		}
	} else if o.config.Proxy == "" {
		if settings.Proxy, err = proxyOf(settings.Server); err != nil {
			return settings, err
		}
	}
	if err := settings.Validate(); err != nil {
		return settings, err
	}
	var ca []byte
	if o.config.CAFile != "" {
		if ca, err = agent.ReadCertificates(o.config.CAFile); err != nil {
			return settings, err
		}
	}
	if code == "" {
		if _, err := a.Store.Root.Lstat(agent.CodeFile); errors.Is(err, fs.ErrNotExist) {
			return settings, fmt.Errorf("%w: give --activation-code-file", agent.ErrNoCode)
		}
	}
	if !o.given() && code == "" {
		return settings, nil
	}
	return settings, a.Store.Prepare(ctx, settings, ca, code)
}

// newCode reads the code from where the caller has it, and is empty without one.
func newCode(file, variable string, stdin io.Reader) (string, error) {
	in := stdin
	switch file {
	case "":
		if variable == "" {
			return "", nil
		}
		return agent.ParseCode([]byte(variable))
	case "-":
	default:
		f, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("reading the activation code: %w", err)
		}
		defer f.Close() // only read
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, 64<<10))
	if err != nil {
		return "", fmt.Errorf("reading the activation code: %w", err)
	}
	return agent.ParseCode(text)
}

// deactivate is `vpkg-agent deactivate`.
func deactivate(ctx context.Context, config hooks.Config, applies bool, c console) error {
	if err := mayAdminister("deactivate"); err != nil {
		return err
	}
	a, closeRoot, err := openActivator(ctx, config)
	if err != nil {
		return err
	}
	defer closeRoot()
	ctx, cancel := context.WithTimeoutCause(ctx, deactivateTimeout, fmt.Errorf("not within %v", deactivateTimeout))
	defer cancel()
	found, warning, err := a.Deactivate(ctx)
	if warning != nil {
		c.warn("%v", warning)
	}
	if err != nil {
		return err
	}
	if !found {
		_, err := fmt.Fprintf(c.out, "The %s is not activated\n", product(config))
		return err
	}
	fmt.Fprintf(c.out, "The %s has been deactivated\n", product(config))
	if !applies {
		return nil
	}
	return apply(context.WithoutCancel(ctx), config)
}

// apply has the hook put in force what is in the data folder now.
func apply(ctx context.Context, config hooks.Config) error {
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	var said bytes.Buffer
	hook, err := place(config, config.Hook())
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, hook, "platform", "apply")
	cmd.Env = childEnv()
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		lines := strings.Split(strings.TrimSpace(said.String()), "\n")
		return fmt.Errorf("the rules of the firewall were not changed: %s: %w", cmp.Or(lines[len(lines)-1], "vpkg-hook platform apply"), err)
	}
	return nil
}
