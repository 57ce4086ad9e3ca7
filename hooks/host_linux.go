package hooks

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Host is the machine that the hook runs on.
type Host struct {
	// Root is the folder that holds the host's files when it is not /, as dpkg's
	// DPKG_ROOT has it.
	Root string
}

// Run runs a program with English messages.
func (h Host) Run(ctx context.Context, argv ...string) (string, error) {
	return h.Feed(ctx, "", argv...)
}

// Feed is Run of a program that reads input.
func (h Host) Feed(ctx context.Context, input string, argv ...string) (string, error) {
	if h.Root != "" {
		argv = inRoot(h.Root, argv)
	}
	if len(argv) == 0 {
		return "", nil
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	if input != "" {
		cmd.Stdin = strings.NewReader(input)
	}
	return output(cmd)
}

// inRoot gives the command that does the same below root, without a chroot. There
// is none for a program of the product: of the product that is installed there
// nothing runs, and the path may name the one of this host.
func inRoot(root string, argv []string) []string {
	switch program, args := argv[0], argv[1:]; program {
	case "getent": // which has no such option; the status for "not found" is 2
		return []string{"awk", "-F:", "-v", "n=" + args[1], `$1 == n {print; found = 1} END {exit found ? 0 : 2}`, path.Join(root, "etc", args[0])}
	case "useradd", "groupadd", "userdel", "groupdel":
		return slices.Concat([]string{program, "--prefix", root}, args)
	case "systemctl":
		return slices.Concat([]string{program, "--root", root}, args)
	}
	if path.IsAbs(argv[0]) {
		return nil
	}
	return argv
}

// Stat is lstat(2).
func (h Host) Stat(name string) (Attr, error) {
	info, err := os.Lstat(h.Root + name)
	if err != nil {
		return Attr{}, err
	}
	var st unix.Stat_t
	if err := unix.Lstat(h.Root+name, &st); err != nil {
		return Attr{}, &fs.PathError{Op: "lstat", Path: h.Root + name, Err: err}
	}
	return Attr{Mode: info.Mode(), UID: int(st.Uid), GID: int(st.Gid)}, nil
}

// ReadFile reads a file.
func (h Host) ReadFile(name string) ([]byte, error) { return os.ReadFile(h.Root + name) }

// WriteFile writes beside the file, waits for the disk and renames.
func (h Host) WriteFile(name string, b []byte, perm fs.FileMode) (err error) {
	name = h.Root + name
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".vpkg-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			tmp.Close() // err says what went wrong already
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	if _, err := tmp.Write(b); err != nil {
		return err
	}
	if err := tmp.Chmod(perm); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), name); err != nil {
		return err
	}
	return syncDir(dir)
}

// Set writes into a file of /proc or /sys.
func (h Host) Set(name, text string) error {
	f, err := os.OpenFile(h.Root+name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// SetAttr sets owner, group and mode, and makes a missing folder.
func (h Host) SetAttr(name string, a Attr) error {
	parent, trusted, err := openParent(h.Root + name)
	if err != nil {
		return err
	}
	defer unix.Close(parent) // only looked through
	wrap := func(op string, err error) error {
		if err == nil {
			return nil
		}
		return &fs.PathError{Op: op, Path: h.Root + name, Err: err}
	}
	base := path.Base(name)
	if a.Mode&fs.ModeSymlink != 0 {
		return wrap("lchown", unix.Fchownat(parent, base, a.UID, a.GID, unix.AT_SYMLINK_NOFOLLOW))
	}
	flags := unix.O_RDONLY | unix.O_NONBLOCK | unix.O_CLOEXEC
	if a.Mode.IsDir() {
		flags |= unix.O_DIRECTORY
		if err := unix.Mkdirat(parent, base, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
			return wrap("mkdir", err)
		}
	}
	if !trusted {
		flags |= unix.O_NOFOLLOW
	}
	fd, err := unix.Openat(parent, base, flags, 0)
	if err != nil {
		return wrap("open", err)
	}
	defer unix.Close(fd) // nothing was written to it
	if err := unix.Fchown(fd, a.UID, a.GID); err != nil {
		return wrap("chown", err)
	}
	return wrap("chmod", unix.Fchmod(fd, uint32(ModeOf(a.Mode)))) // after chown, which takes setuid away
}

// openParent opens the folder of name, and says whether others than root cannot
// have put a link there. Below the first folder that another account can write it
// follows none, so that this account cannot make root change files elsewhere.
func openParent(name string) (fd int, trusted bool, err error) {
	fd, err = unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, false, err
	}
	trusted = true
	parts := strings.Split(strings.TrimPrefix(path.Dir(name), "/"), "/")
	for i := 0; ; i++ {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			unix.Close(fd)
			return -1, false, err
		}
		trusted = trusted && st.Uid == 0 && st.Mode&0o022 == 0
		if i == len(parts) || parts[i] == "" {
			return fd, trusted, nil
		}
		flags := unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC
		if !trusted {
			flags |= unix.O_NOFOLLOW
		}
		next, err := unix.Openat(fd, parts[i], flags, 0)
		unix.Close(fd)
		if err != nil {
			return -1, false, &fs.PathError{Op: "open", Path: "/" + path.Join(parts[:i+1]...), Err: err}
		}
		fd = next
	}
}

// Remove removes a file, a link or an empty folder.
func (h Host) Remove(name string) error {
	parent, _, err := openParent(h.Root + name)
	if err != nil {
		return err
	}
	defer unix.Close(parent) // only looked through
	err = unix.Unlinkat(parent, path.Base(name), 0)
	if errors.Is(err, unix.EISDIR) || errors.Is(err, unix.EPERM) {
		err = unix.Unlinkat(parent, path.Base(name), unix.AT_REMOVEDIR)
	}
	if err != nil {
		return &fs.PathError{Op: "remove", Path: h.Root + name, Err: err}
	}
	return syncDir(filepath.Dir(h.Root + name))
}

// RemoveAll is os.RemoveAll.
func (h Host) RemoveAll(name string) error { return os.RemoveAll(h.Root + name) }

// Sync is syncfs(2).
func (h Host) Sync(name string) error {
	f, err := os.Open(h.Root + name)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
}

// Lock locks a file, flock(2). Where the lock is an ancestor's, which waits for
// us, that is an error.
func (h Host) Lock(name string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(h.Root+name), 0o755); err != nil { //nolint:gosec // the hook's own path, below the root that dpkg names
		return nil, err
	}
	f, err := os.OpenFile(h.Root+name, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // as above
	if err != nil {
		return nil, err
	}
	if err := flock(f); err != nil {
		return nil, errors.Join(&fs.PathError{Op: "lock", Path: name, Err: err}, f.Close())
	}
	return func() { f.Close() }, nil // nothing was written to it; closing unlocks
}

// Surroundings looks around.
func (h Host) Surroundings() Surroundings {
	s := Surroundings{Env: os.Getenv, SameRoot: true}
	info, err := os.Stat("/run/systemd/system")
	s.Booted = err == nil && info.IsDir()
	_, err = os.Stat("/sys/fs/selinux/enforce") // selinuxfs is mounted where SELinux is on
	s.Labels = err == nil
	// A container may not let us look at PID 1's root, but one without /proc is a
	// chroot.
	root, err := os.Stat("/")
	if err != nil {
		return s
	}
	switch ones, err := os.Stat("/proc/1/root"); {
	case err == nil:
		s.SameRoot = os.SameFile(root, ones)
	case errors.Is(err, fs.ErrNotExist):
		s.SameRoot = false
	}
	return s
}
