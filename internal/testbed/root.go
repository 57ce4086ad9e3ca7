//go:build linux

package testbed

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// A Suite is a Debian release and the packages that its root file system has
// beside the essential ones.
type Suite struct {
	Name     string
	Packages []string
}

var common = []string{
	"conntrack", "dbus", "debsums", "ipset", "iproute2", "iptables", "kmod", "nftables", "passwd", "procps", "rpm", "systemd-sysv",
	"busybox", "ca-certificates", "curl", "wget", // what a pairing script meets
}

// The suites, with the generation of rpm and dpkg that each one stands for.
var (
	// Bullseye has rpm 4.16 as EL9, but with a Berkeley DB, and dpkg 1.20, which
	// reads no zstd.
	Bullseye = Suite{"bullseye", common}
	// Bookworm has rpm 4.18, dnf 4.14, libzypp 17.25 and dpkg 1.21.
	Bookworm = Suite{"bookworm", append([]string{"createrepo-c", "dnf", "zypper"}, common...)}
	// Trixie has rpm 4.20, which as EL10's makes accounts from user() provides,
	// and dpkg 1.22.
	Trixie = Suite{"trixie", common}
	// Sid has rpm 6, which wants signatures.
	Sid = Suite{"sid", append([]string{"mount"}, common...)}
)

// makeRoot returns the folder of the suite's root file system, which it makes
// from the machine's own Debian mirror unless it is in the cache.
func makeRoot(ctx context.Context, s Suite) (string, error) {
	args := mmdebstrapArgs(s)
	dir, err := cached(s.Name, args, func(dir string) error { return mmdebstrap(ctx, s, args, dir) })
	if err != nil {
		return "", fmt.Errorf("making a %s root: %w", s.Name, err)
	}
	return dir, nil
}

// cached returns the folder in the cache that is named after name and recipe. If
// it is not there, fill makes it.
func cached(name string, recipe []string, fill func(dir string) error) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	key := sha256.Sum256([]byte(strings.Join(recipe, "\x00")))
	dir := filepath.Join(cache, fmt.Sprintf("%s-%x", name, key[:6]))
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(dir + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	tmp := dir + ".new" // under the lock, so what is there is a broken run's
	if err := os.RemoveAll(tmp); err != nil {
		return "", err
	}
	if err := fill(tmp); err != nil {
		return "", errors.Join(err, os.RemoveAll(tmp))
	}
	return dir, os.Rename(tmp, dir)
}

// mmdebstrap makes the suite's root file system in the folder dir.
func mmdebstrap(ctx context.Context, s Suite, args []string, dir string) error {
	mirror, err := mirror(ctx)
	if err != nil {
		return err
	}
	args = append(slices.Clone(args), s.Name, dir, "deb "+mirror+" "+s.Name+" main")
	cmd := exec.CommandContext(ctx, "mmdebstrap", args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mmdebstrap: %w\n%s", err, out)
	}
	return nil
}

func mmdebstrapArgs(s Suite) []string {
	return []string{
		"--quiet", "--mode=root", "--variant=apt", "--skip=check/empty",
		"--include=" + strings.Join(s.Packages, ","),
		// sid's signature is good for a week, and a mirror may be behind.
		`--aptopt=Acquire::Check-Valid-Until "false"`,
		`--aptopt=Acquire::Languages "none"`,
		"--dpkgopt=force-unsafe-io",
		"--dpkgopt=path-exclude=/usr/share/man/*",
		"--dpkgopt=path-exclude=/usr/share/locale/*",
		// What is installed later must be installed whole, and synced.
		`--customize-hook=rm "$1"/etc/dpkg/dpkg.cfg.d/99mmdebstrap`,
		// Debian's rpm keeps its database in the user's home folder by default.
		`--customize-hook=mkdir -p "$1"/etc/rpm && echo '%_dbpath /var/lib/rpm' >"$1"/etc/rpm/macros`,
		`--customize-hook=chroot "$1" rpmdb --initdb`,
	}
}

// mirror is the Debian mirror of the machine's own apt configuration.
func mirror(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--no-release-info", "--format",
		"$(CREATED_BY) $(COMPONENT) $(RELEASE) $(REPO_URI)").Output()
	if err != nil {
		return "", fmt.Errorf("asking apt for its mirror: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		// A suite with a dash (-security, -updates) has a part of Debian only.
		if len(f) == 4 && f[0] == "Packages" && f[1] == "main" && !strings.Contains(f[2], "-") &&
			strings.HasSuffix(strings.TrimRight(f[3], "/"), "/debian") {
			return f[3], nil
		}
	}
	return "", errors.New("apt's sources name no Debian mirror")
}

// lock takes an exclusive lock that other processes respect.
func lock(name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", name, err), f.Close())
	}
	return func() { f.Close() }, nil
}
