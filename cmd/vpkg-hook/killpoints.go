//go:build killpoints

package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/vpkg/vpkg/hooks"
)

// In a program built with the tag killpoints, for tests, the variable
// VPKG_KILL="before:7" or "after:7" ends the process with SIGKILL at its seventh
// effect on the host, counted from 0. VPKG_EFFECTS names a file that gets a line
// for each effect.

// system is the host with an end at one of its effects.
func system(h hooks.Host) hooks.System {
	k := &killer{Host: h, at: -1, list: os.Getenv("VPKG_EFFECTS")}
	when, n, _ := strings.Cut(os.Getenv("VPKG_KILL"), ":")
	if at, err := strconv.Atoi(n); err == nil {
		k.at, k.after = at, when == "after"
	}
	os.Unsetenv("VPKG_KILL") // what we start, such as a unit's program, lives
	os.Unsetenv("VPKG_EFFECTS")
	return k
}

type killer struct {
	hooks.Host
	at, n int
	after bool
	list  string
}

// effect does something to the host, or ends the process.
func (k *killer) effect(do func() error, what ...string) error {
	n := k.n
	k.n++
	if k.list != "" {
		if f, err := os.OpenFile(k.list, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600); err == nil {
			fmt.Fprintf(f, "%d %s\n", n, strings.Join(what, " "))
			f.Close()
		}
	}
	if n == k.at && !k.after {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	err := do()
	if n == k.at && k.after {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	return err
}

// Run counts programs that change something.
func (k *killer) Run(ctx context.Context, argv ...string) (string, error) {
	return k.Feed(ctx, "", argv...)
}

func (k *killer) Feed(ctx context.Context, input string, argv ...string) (out string, err error) {
	if looks(argv) {
		return k.Host.Feed(ctx, input, argv...)
	}
	err = k.effect(func() error {
		out, err = k.Host.Feed(ctx, input, argv...)
		return err
	}, argv...)
	return out, err
}

// looks reports whether a command only looks.
func looks(argv []string) bool {
	switch line := " " + strings.Join(argv, " ") + " "; {
	case argv[0] == "getent", strings.HasSuffix(argv[0], "-save"), strings.Contains(line, " --test "):
		return true
	case argv[0] == "nft":
		return strings.Contains(line, " list ") || strings.Contains(line, " -c ")
	case argv[0] == "ipset":
		return strings.Contains(line, " save ") || strings.Contains(line, " list ")
	case argv[0] == "systemctl":
		return strings.Contains(line, " is-") || strings.Contains(line, " show ")
	case strings.HasPrefix(argv[0], "iptables"), strings.HasPrefix(argv[0], "ip6tables"):
		return strings.Contains(line, " -V ") || strings.Contains(line, " -S ")
	}
	return false
}

func (k *killer) WriteFile(name string, b []byte, perm fs.FileMode) error {
	return k.effect(func() error { return k.Host.WriteFile(name, b, perm) }, "write", name)
}

func (k *killer) Set(name, text string) error {
	return k.effect(func() error { return k.Host.Set(name, text) }, "set", name, text)
}

func (k *killer) SetAttr(name string, a hooks.Attr) error {
	return k.effect(func() error { return k.Host.SetAttr(name, a) }, "attributes", name)
}

func (k *killer) Remove(name string) error {
	if _, err := k.Host.Stat(name); err != nil {
		return k.Host.Remove(name)
	}
	return k.effect(func() error { return k.Host.Remove(name) }, "remove", name)
}

func (k *killer) Sync(name string) error {
	return k.effect(func() error { return k.Host.Sync(name) }, "sync", name)
}
