//go:build linux || windows

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/vpkg/vpkg/agent"
	"github.com/vpkg/vpkg/hooks"
)

// reach is `vpkg-agent connectivity-test`: it tries the server that the host was,
// or is to be, activated with.
func reach(ctx context.Context, config hooks.Config, _ variables, c console) error {
	a, closeRoot, err := openActivator(ctx, config)
	if err != nil {
		return err
	}
	defer closeRoot()
	settings, unknown, err := a.Store.Config()
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("no server is known: activate first")
	}
	if err != nil {
		return err
	}
	for _, line := range unknown {
		c.warn("%s", line)
	}
	client, err := agent.NewClient(settings, config.Version)
	if err != nil {
		return err
	}
	defer client.Close()
	if settings.Insecure {
		c.warn("INSECURE: the certificate of %s is not checked", settings.Server)
	}
	if err := client.Reach(ctx); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "%s answers\n", settings.Server)
	return err
}
