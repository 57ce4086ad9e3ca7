//go:build linux

package testbed

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// nspawn starts systemd-nspawn from a process that is in the box's control group
// already: nspawn makes its own groups below the one it finds itself in.
//
// There is neither D-Bus nor systemd on a bare machine, so nothing is registered
// with them.
const nspawn = `
set -eu
root=$1; shift
for procs; do echo $$ >"$procs"; done
export UNIFIED_CGROUP_HIERARCHY=1
exec systemd-nspawn --quiet --directory="$root" --register=no --keep-unit --private-network \
	--machine=box --link-journal=no --resolv-conf=off --timezone=off --console=pipe \
	--boot systemd.log_target=console systemd.show_status=no
`

// Boot starts the box with systemd as its pid 1 and waits until systemd says
// that it is up. The box must not have started, or be shut down.
func (b *Box) Boot(t testing.TB) {
	t.Helper()
	if b.pid1 != 0 {
		t.Fatal("testbed: Boot of a box that has started")
	}
	b.maskGenerators(t)
	b.group = filepath.Join(current.Cgroup, filepath.Base(b.dir))
	procs, err := makeCgroup(b.group)
	if err != nil {
		t.Fatal(err)
	}
	b.lead = exec.Command("/bin/sh", append([]string{"-c", nspawn, "nspawn", b.Path("/")}, procs...)...)
	b.lead.Stdout, b.lead.Stderr = &b.log, &b.log
	b.lead.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := b.lead.Start(); err != nil {
		t.Fatal(err)
	}
	b.await(t, 30*time.Second, func() (bool, error) {
		for _, pid := range children(b.lead.Process.Pid) {
			// Until it executes systemd, the child is nspawn's own.
			if _, _, name, err := stat(pid); err == nil && name == "systemd" {
				return true, b.found(pid)
			}
		}
		return false, nil
	})
	deadline := time.Now().Add(time.Minute)
	for {
		// It waits, once systemd listens; to ask all the time would slow the boot down.
		switch r := b.Run(t, "systemctl", "is-system-running", "--wait"); strings.TrimSpace(r.Stdout) {
		case "running":
			return
		case "degraded":
			t.Fatalf("systemd is up, but:\n%s", b.Run(t, "systemctl", "--failed", "--no-pager").Stdout)
		}
		if time.Now().After(deadline) {
			t.Fatalf("systemd is not up after a minute:\n%s", b.log.String())
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// maskGenerators keeps systemd from running a dozen programs at each daemon-reload
// that look for disks and terminals, which a box does not have: systemd.generator(7).
// Those for fstab and for scripts of System V stay.
func (b *Box) maskGenerators(t testing.TB) {
	t.Helper()
	dir := b.Path("/etc/systemd/system-generators")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(b.Path("/usr/lib/systemd/system-generators/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		name = filepath.Base(name)
		if name == "systemd-fstab-generator" || name == "systemd-sysv-generator" {
			continue
		}
		if err := os.Symlink("/dev/null", filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrExist) {
			t.Fatal(err)
		}
	}
}

// Shutdown powers a booted box off in good order. Its files stay, and it can be
// booted again.
func (b *Box) Shutdown(t testing.TB) {
	t.Helper()
	const powerOff = syscall.Signal(34 + 4) // SIGRTMIN+4, see systemd(1)
	if err := syscall.Kill(b.pid1, powerOff); err != nil {
		t.Fatal(fmt.Errorf("powering off: %w", err))
	}
	for deadline := time.Now().Add(30 * time.Second); !ended(b.lead.Process.Pid); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the box is not off after half a minute:\n%s", b.log.String())
		}
	}
	b.reap()
}
