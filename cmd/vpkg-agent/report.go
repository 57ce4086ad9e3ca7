//go:build linux || windows

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/vpkg/vpkg/agent"
	"github.com/vpkg/vpkg/hooks"
)

// report is `vpkg-agent report`: it writes the support report to its place, which
// is in a folder where others can make files. So it is written under a name that
// nobody knows, and renamed: a link in its place is replaced, not followed.
func report(ctx context.Context, config hooks.Config, v variables, c console) (err error) {
	if err := mayAdminister("report"); err != nil {
		return err
	}
	data, err := place(config, config.Data)
	if err != nil {
		return err
	}
	r := agent.Report{Config: config, Data: data, Sys: hostOf(config), Secrets: secrets(ctx, config, v), Time: time.Now()}
	name, err := place(config, config.Report())
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".vpkg-report-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close() // err says what went wrong already
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := private(f.Name()); err != nil {
		return err
	}
	if err := r.Write(ctx, f); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.out, name)
	return err
}

// secrets are what must not stand in a report: what this host knows of them.
func secrets(ctx context.Context, config hooks.Config, v variables) []string {
	found := []string{v.code}
	a, closeRoot, err := openActivator(ctx, config)
	if err != nil {
		return found // without a data folder there is neither a code nor a token
	}
	defer closeRoot()
	if code, err := a.Store.Code(); err == nil {
		found = append(found, code)
	}
	if id, err := a.Store.Identity(); err == nil {
		found = append(found, id.Token)
	}
	return found
}
