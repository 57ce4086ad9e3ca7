package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/vpkg/vpkg/hooks"
)

// enterHostNetwork starts the program anew in the network namespace of PID 1 where
// rpm calls it in one of its own. So does rpm 4.20's plugin unshare, in mount
// namespaces too, so that scriptlets have no network: %__transaction_unshare_nonet.
// But the packet filter, its settings and the server are the host's.
func enterHostNetwork(args []string) error {
	rpm := slices.Contains(args, "rpm") || slices.Contains(args, "--format=rpm")
	if len(args) == 0 || !slices.Contains(hooks.Phases, hooks.Phase(args[0])) || !rpm {
		return nil
	}
	around := hooks.Host{}.Surroundings()
	if !around.Booted || !around.SameRoot || around.Env("SYSTEMD_OFFLINE") == "1" {
		return nil // of an image or a container nothing is the host's
	}
	for _, kind := range []string{"net", "mnt"} {
		is, err := os.Readlink("/proc/self/ns/" + kind)
		host, herr := os.Readlink("/proc/1/ns/" + kind)
		if err != nil || herr != nil || is == host {
			return nil // as it should be; or PID 1 is none of ours to look at, as in some containers
		}
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	f, err := os.Open("/proc/1/ns/net")
	if err != nil {
		return err
	}
	defer f.Close() // it was only entered
	// A namespace is a thread's, and the thread that executes is what stays of a process.
	runtime.LockOSThread()
	if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("entering the host's network namespace: %w", err)
	}
	return unix.Exec(exe, os.Args, os.Environ())
}
