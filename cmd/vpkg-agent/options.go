//go:build linux || windows

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vpkg/vpkg/agent"
	"github.com/vpkg/vpkg/hooks"
)

const activateUsage = `Usage: vpkg-agent activate [OPTIONS]

  --management-server HOST:PORT  the server
  --activation-code-file FILE    file with the activation code, - for standard input
  --profile-id NUMBER            pairing profile that the code is of
  --ca-file FILE                 certificates to trust in the place of the system's, PEM
  --proxy-server HOST:PORT       HTTP proxy on the way to the server
  --insecure                     do not check the server's certificate
  --enforcement-mode MODE        idle, visibility_only, selective or full
  --role, --app, --env, --loc LABEL
  --timeout DURATION             how long to try, 60s by default

Options may be spelt with underscores. Without a server and a code those of the
activation that was begun last are used.
`

// A misuse is a command line that is wrong.
type misuse struct{ text string }

func (m misuse) Error() string { return m.text }

// activateOptions are those of `vpkg-agent activate`.
type activateOptions struct {
	config   agent.ActivationConfig
	codeFile string
	timeout  time.Duration
	help     bool
}

// parseActivate reads the command line of `vpkg-agent activate`.
func parseActivate(args []string) (command, error) {
	o, err := parseOptions(args)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, config hooks.Config, v variables, c console) error {
		if o.help {
			_, err := fmt.Fprint(c.out, activateUsage)
			return err
		}
		return activate(ctx, config, o, v, c)
	}, nil
}

// parseOptions reads the options. (Package flag would put into its messages what
// it cannot use, which may be the code.)
func parseOptions(args []string) (activateOptions, error) {
	o := activateOptions{timeout: time.Minute}
	var timeout string
	values := map[string]*string{
		"management-server": &o.config.Server, "m": &o.config.Server,
		"activation-code-file": &o.codeFile,
		"profile-id":           &o.config.Profile,
		"ca-file":              &o.config.CAFile,
		"proxy-server":         &o.config.Proxy,
		"enforcement-mode":     &o.config.Mode,
		"role":                 &o.config.Labels.Role, "app": &o.config.Labels.App, "env": &o.config.Labels.Env, "loc": &o.config.Labels.Loc,
		"timeout": &timeout,
	}
	switches := map[string]*bool{"insecure": &o.config.Insecure, "help": &o.help, "h": &o.help}
	for len(args) > 0 {
		dashed, value, has := strings.Cut(args[0], "=")
		args = args[1:]
		name := strings.ReplaceAll(strings.TrimPrefix(strings.TrimPrefix(dashed, "-"), "-"), "_", "-")
		switch {
		case dashed == name || name == "":
			return o, misuse{"activate takes only options"} // it may be the code
		case name == "activation-code" || strings.HasPrefix(dashed, "-a") && values[name] == nil: // -a CODE, -aCODE
			return o, misuse{"an activation code on the command line can be seen by everybody on this host: " +
				"pass it by --activation-code-file or standard input (--activation-code-file -)"}
		case switches[name] != nil:
			if has {
				return o, misuse{fmt.Sprintf("--%s takes no value", name)}
			}
			*switches[name] = true
			continue
		case values[name] == nil:
			return o, misuse{fmt.Sprintf("unknown option %.30q", dashed)}
		case !has && len(args) == 0:
			return o, misuse{fmt.Sprintf("--%s wants a value", name)}
		}
		if !has {
			value, args = args[0], args[1:]
		}
		if value == "" {
			return o, misuse{fmt.Sprintf("--%s wants a value", name)}
		}
		if *values[name] != "" {
			return o, misuse{fmt.Sprintf("--%s is there twice", name)}
		}
		*values[name] = value
	}
	if timeout != "" {
		var err error
		if o.timeout, err = parseTimeout(timeout); err != nil {
			return o, err
		}
	}
	if o.config.CAFile != "" {
		var err error
		if o.config.CAFile, err = filepath.Abs(o.config.CAFile); err != nil {
			return o, err
		}
	}
	return o, nil
}

// parseTimeout reads 90s, 2m, or seconds.
func parseTimeout(s string) (time.Duration, error) {
	if _, err := strconv.Atoi(s); err == nil {
		s += "s"
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Second || d > time.Hour {
		return 0, misuse{fmt.Sprintf("--timeout %.30q: want a time from 1s to 1h", s)}
	}
	return d, nil
}

// given reports whether there is an option that goes into the configuration.
func (o activateOptions) given() bool { return o.config != agent.ActivationConfig{} }

// over gives c with the options in the place of its values.
func (o activateOptions) over(c agent.ActivationConfig) agent.ActivationConfig {
	for _, v := range []struct {
		to   *string
		from string
	}{
		{&c.Server, o.config.Server},
		{&c.Proxy, o.config.Proxy},
		{&c.Profile, o.config.Profile},
		{&c.CAFile, o.config.CAFile},
		{&c.Mode, o.config.Mode},
		{&c.Labels.Role, o.config.Labels.Role},
		{&c.Labels.App, o.config.Labels.App},
		{&c.Labels.Env, o.config.Labels.Env},
		{&c.Labels.Loc, o.config.Labels.Loc},
	} {
		if v.from != "" {
			*v.to = v.from
		}
	}
	c.Insecure = c.Insecure || o.config.Insecure
	return c
}

// proxyOf gives the proxy that the environment has for a server, as curl reads
// it (HTTPS_PROXY, https_proxy, NO_PROXY), in the form of the configuration.
func proxyOf(server string) (string, error) {
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: &url.URL{Scheme: "https", Host: server}})
	const want = "the proxy that HTTPS_PROXY names cannot be used: want http://HOST:PORT without a password, or --proxy-server HOST:PORT"
	if err != nil {
		return "", errors.New(want) // err has all of the variable, password and all
	}
	if proxy == nil {
		return "", nil
	}
	if proxy.Scheme != "http" || proxy.User != nil {
		return "", errors.New(want)
	}
	if proxy.Port() == "" {
		return proxy.Host + ":80", nil
	}
	return proxy.Host, nil
}
