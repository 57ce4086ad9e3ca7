package hooks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/windows"
)

// Host is the machine that the hook runs on.
//
// Owners are accounts' numbers, of which 0 stands for SYSTEM, Administrators and
// TrustedInstaller, and permission bits stand for access lists: see winacl.go. What
// systemctl and getent would do and answer is done and answered here, by the
// service control manager and the security authority: see winservice.go.
//
// What is below a folder in which every user can make another, as C:\ProgramData
// is one, has to be an administrator's or a service's; else it is ErrPlanted.
type Host struct {
	// Root is a folder that holds the host's files, for tests. Empty means that they
	// are at their Places.
	Root string

	// Places are folders of this host by the paths that they have in the
	// configuration: where the program and its data are. State and logs have theirs,
	// ProgramData\vpkg and Temp of the Windows folder; /ProgramData and /Windows are
	// those folders wherever they are. A path that is in none of them
	// is not there, and nothing can be put there.
	Places map[string]string

	// Accounts are the names of those that own folders of the configuration. A
	// number alone does not tell an account.
	Accounts []string
}

// Locate gives the path on this host of one of the configuration.
func (h Host) Locate(name string) (string, error) {
	if h.Root != "" {
		return h.Root + filepath.FromSlash(name), nil
	}
	data, err := windows.KnownFolderPath(windows.FOLDERID_ProgramData, windows.KF_FLAG_DEFAULT)
	if err != nil {
		return "", fmt.Errorf("asking where ProgramData is: %w", err)
	}
	system, err := windows.GetSystemWindowsDirectory()
	if err != nil {
		return "", fmt.Errorf("asking where Windows is: %w", err)
	}
	p := places{
		strings.TrimSuffix(stateFolder, "/"): data + `\vpkg`, "/var/log": system + `\Temp`,
		"/ProgramData": data, "/Windows": system,
	}
	maps.Copy(p, h.Places)
	if found, ok := p.find(name); ok {
		return found, nil
	}
	return "", &fs.PathError{Op: "locate", Path: name, Err: fs.ErrNotExist}
}

// place is Locate for what is to be changed.
func (h Host) place(name string) (string, error) {
	found, err := h.Locate(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s has no place on Windows: %w", name, errors.ErrUnsupported)
	}
	return found, err
}

// Run runs a program. One whose path is in the configuration's form is a .exe.
func (h Host) Run(ctx context.Context, argv ...string) (string, error) {
	switch {
	case len(argv) == 0:
		return "", nil
	case argv[0] == "systemctl":
		return control{scm{}, pause}.systemctl(ctx, argv[1:])
	case argv[0] == "getent":
		return getent(argv[1:], lookupAccount)
	}
	program := argv[0]
	if strings.HasPrefix(program, "/") {
		found, err := h.Locate(program)
		if err != nil {
			return "", fmt.Errorf("%w: %w", exec.ErrNotFound, err)
		}
		if program = found; filepath.Ext(program) == "" {
			program += ".exe"
		}
	}
	cmd := exec.CommandContext(ctx, program, argv[1:]...)
	cmd.WaitDelay = 2 * time.Second // what it has started may go on, and keep its output open
	out, err := output(cmd)
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	return out, err
}

// Feed is for the packet filter of Linux.
func (h Host) Feed(context.Context, string, ...string) (string, error) {
	return "", fmt.Errorf("feeding a program: %w", errors.ErrUnsupported)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func lookupAccount(name string) (string, error) {
	sid, _, _, err := windows.LookupSID("", name)
	if errors.Is(err, windows.ERROR_NONE_MAPPED) {
		return "", fmt.Errorf("account %q: %w", name, fs.ErrNotExist)
	}
	if err != nil {
		return "", fmt.Errorf("looking up account %q: %w", name, err)
	}
	return sid.String(), nil
}

func (h Host) accounts() (accounts, error) {
	var a accounts
	for _, name := range h.Accounts {
		sid, err := accountSID(name, lookupAccount)
		if err != nil {
			return nil, err
		}
		a = append(a, sid)
	}
	return a, nil
}

// reach opens what is there, while the folders above it are held.
func (h Host) reach(name string, access uint32) (path string, t thing, above trail, err error) {
	if path, err = h.Locate(name); err != nil {
		return "", thing{}, trail{}, err
	}
	if above, err = follow(path, false); err != nil {
		return "", thing{}, trail{}, err
	}
	if t, err = open(path, access, shareAll); err != nil {
		above.letGo()
		return "", thing{}, trail{}, err
	}
	return path, t, above, nil
}

// Stat looks at a file or folder. A folder that is a link is an error: nothing of
// a package is behind one, and every user can make a junction.
func (h Host) Stat(name string) (Attr, error) {
	path, t, above, err := h.reach(name, 0)
	if err != nil {
		return Attr{}, err
	}
	defer above.letGo()
	defer closeHandle(t.Handle)
	switch {
	case t.kind == fs.ModeDir|fs.ModeSymlink:
		return Attr{}, linkedFolder(path, t)
	case t.link():
		return Attr{Mode: fs.ModeSymlink | 0o777, UID: number(t.owner), GID: number(t.group)}, nil
	}
	a, err := h.accounts()
	if err != nil {
		return Attr{}, err
	}
	return a.attr(t.descriptor, t.kind), nil
}

func linkedFolder(path string, t thing) error {
	if err := t.planted(true); err != nil {
		return fmt.Errorf("%s %w", path, err)
	}
	return &fs.PathError{Op: "open", Path: path, Err: errors.New("is a link to another folder: name that one")}
}

// ReadFile reads a file.
func (h Host) ReadFile(name string) (b []byte, err error) {
	path, t, above, err := h.reach(name, windows.FILE_READ_DATA)
	if err != nil {
		return nil, err
	}
	defer above.letGo()
	f := t.file(path)
	defer f.Close() // nothing was written to it
	if err := t.planted(above.open); err != nil {
		return nil, fmt.Errorf("%s %w", path, err)
	}
	if t.link() { // an administrator's
		return os.ReadFile(path)
	}
	return io.ReadAll(f)
}

// WriteFile writes beside the file, waits for the disk and renames. A file that
// only its owner may read is closed to all but administrators; any other has the
// rights that its folder hands on.
func (h Host) WriteFile(name string, b []byte, perm fs.FileMode) (err error) {
	path, err := h.place(name)
	if err != nil {
		return err
	}
	above, err := follow(path, true)
	if err != nil {
		return err
	}
	defer above.letGo()
	var d descriptor
	switch {
	case perm&0o077 == 0:
		d = private()
	case above.open:
		if d, err = accounts(nil).descriptor(Attr{Mode: 0o644}); err != nil {
			return err
		}
	}
	tmp, err := createTemp(filepath.Dir(path), d)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			tmp.Close() // err says what went wrong already
			err = errors.Join(err, remove(tmp.Name()))
		}
	}()
	if _, err := tmp.Write(b); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil { // FlushFileBuffers
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return rename(tmp.Name(), path)
}

// createTemp makes a file of a name that nothing has.
func createTemp(dir string, d descriptor) (*os.File, error) {
	for i := 0; ; i++ {
		name := filepath.Join(dir, fmt.Sprintf(".vpkg-%d-%d", os.Getpid(), i))
		t, err := d.create(name, windows.FILE_GENERIC_WRITE, true)
		const most = 1000 // that processes of our number left, killed in between
		if err == nil {
			return t.file(name), nil
		}
		if !errors.Is(err, fs.ErrExist) || i == most {
			return nil, err
		}
	}
}

func remove(name string) error {
	p, err := pointer(name)
	if err != nil {
		return err
	}
	return windows.DeleteFile(p)
}

// rename puts a file in the place of another, on disk when it returns. It waits a
// second for somebody who just reads the other: virus scanners and indexers do.
func rename(from, to string) error {
	f, err := pointer(from)
	if err != nil {
		return err
	}
	t, err := pointer(to)
	if err != nil {
		return err
	}
	for range 20 {
		err = windows.MoveFileEx(f, t, windows.MOVEFILE_REPLACE_EXISTING|windows.MOVEFILE_WRITE_THROUGH)
		if !errors.Is(err, windows.ERROR_ACCESS_DENIED) && !errors.Is(err, windows.ERROR_SHARING_VIOLATION) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// Set writes into the file that is there, as far as the text goes. Windows has no
// settings in files; secrets are overwritten so.
func (h Host) Set(name, text string) error {
	path, t, above, err := h.reach(name, windows.FILE_WRITE_DATA)
	if err != nil {
		return err
	}
	defer above.letGo()
	f := t.file(path)
	if t.kind != 0 {
		err = &fs.PathError{Op: "write", Path: path, Err: fs.ErrInvalid}
	} else if err = t.planted(above.open); err == nil {
		_, err = f.WriteString(text)
	}
	return errors.Join(err, f.Close())
}

// SetAttr sets owner and access list, and makes a missing folder which has them
// from its beginning, after the folders above it, which are none of the
// configuration's where an administrator wants the data to be. A folder of an
// ordinary user is not used: one that is empty is removed and made anew, for the
// user may have it open, and one that is not is ErrPlanted. So is one of an
// administrator in which every user could write, if one did.
func (h Host) SetAttr(name string, attr Attr) error {
	path, err := h.place(name)
	if err != nil {
		return err
	}
	above, err := follow(path, attr.Mode.IsDir())
	if err != nil {
		return err
	}
	defer above.letGo()
	var d descriptor
	if attr.Mode&ownList == 0 {
		a, err := h.accounts()
		if err != nil {
			return err
		}
		if d, err = a.descriptor(attr); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if !attr.Mode.IsDir() {
		return setList(path, attr, d)
	}
	if d.list == nil {
		err = makeFolder(path, above.open)
	} else {
		err = d.mkdir(path)
	}
	if errors.Is(err, fs.ErrExist) {
		return setFolder(path, d)
	}
	return err
}

// setFolder is SetAttr for a folder that is there.
func setFolder(path string, d descriptor) error {
	t, err := open(path, windows.WRITE_DAC|windows.WRITE_OWNER|windows.FILE_LIST_DIRECTORY, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE)
	if err != nil {
		return err
	}
	defer func() { closeHandle(t.Handle) }()
	switch {
	case t.kind == fs.ModeDir|fs.ModeSymlink:
		return linkedFolder(path, t)
	case t.kind != fs.ModeDir:
		return &fs.PathError{Op: "mkdir", Path: path, Err: windows.ERROR_DIRECTORY}
	case !t.own && !mayOwn(t.owner):
		closeHandle(t.Handle)
		t.Handle = 0
		return replaceFolder(path, d, t.owner)
	case d.list == nil:
		return nil
	}
	if accounts(nil).attr(t.descriptor, fs.ModeDir).Mode&0o002 != 0 {
		if err := foreign(path); err != nil {
			return fmt.Errorf("%s was open to every user: look through it, and delete what does not belong there: %w", path, err)
		}
	}
	if err := t.set(d); err != nil {
		return &fs.PathError{Op: "chmod", Path: path, Err: err}
	}
	return nil
}

// replaceFolder makes a folder anew that an ordinary user made, if it is empty.
func replaceFolder(path string, d descriptor, owner string) error {
	t, err := open(path, windows.DELETE, shareAll)
	if err != nil {
		return err
	}
	err = t.remove()
	closeHandle(t.Handle)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s belongs to %s, is not empty, and %w: look through it, then delete it or make Administrators its owner", path, owner, ErrPlanted)
	}
	if err != nil {
		return &fs.PathError{Op: "remove", Path: path, Err: err}
	}
	if d.list == nil {
		return makeFolder(path, true)
	}
	return d.mkdir(path)
}

// setList is SetAttr for a file or link.
func setList(path string, attr Attr, d descriptor) error {
	t, err := open(path, windows.WRITE_DAC|windows.WRITE_OWNER, shareAll)
	if err != nil {
		return err
	}
	defer closeHandle(t.Handle)
	switch {
	case t.kind != attr.Mode.Type():
		return &fs.PathError{Op: "chown", Path: path, Err: fs.ErrInvalid}
	case d.list == nil:
		return nil
	}
	if err := t.set(d); err != nil {
		return &fs.PathError{Op: "chown", Path: path, Err: err}
	}
	return nil
}

// Remove removes a file, a link or an empty folder.
func (h Host) Remove(name string) error {
	path, t, above, err := h.reach(name, windows.DELETE)
	if err != nil {
		return err
	}
	defer above.letGo()
	defer closeHandle(t.Handle)
	if err := t.remove(); err != nil {
		return &fs.PathError{Op: "remove", Path: path, Err: err}
	}
	return nil
}

// RemoveAll removes a folder with all that is in it. One that is none of a product's
// own is refused, as Windows itself, and so is one that a user has put there.
func (h Host) RemoveAll(name string) error {
	path, err := h.Locate(name)
	if err != nil {
		return err
	}
	if err := mayRemoveAll(path, systemFolders()); err != nil {
		return err
	}
	above, err := follow(path, false)
	if err != nil {
		return err
	}
	defer above.letGo()
	return removeAll(path, func(t thing) error {
		if err := t.planted(above.open); err != nil {
			return fmt.Errorf("%s %w", path, err)
		}
		return nil
	})
}

// systemFolders are those that RemoveAll never removes, nor what they are in.
func systemFolders() []string {
	var found []string
	for _, id := range []*windows.KNOWNFOLDERID{
		windows.FOLDERID_Windows, windows.FOLDERID_System, windows.FOLDERID_ProgramData, windows.FOLDERID_UserProfiles,
		windows.FOLDERID_ProgramFiles, windows.FOLDERID_ProgramFilesX86, windows.FOLDERID_ProgramFilesCommon, windows.FOLDERID_Public,
	} {
		if dir, err := windows.KnownFolderPath(id, windows.KF_FLAG_DEFAULT); err == nil {
			found = append(found, dir)
		}
	}
	return found
}

// removeAll removes what is there: of a link the link, of a folder first what is in
// it. It holds the folder meanwhile, so that nobody can put a link in its place.
// It removes nothing where check says no.
func removeAll(path string, check func(thing) error) error {
	t, err := open(path, windows.DELETE|windows.FILE_LIST_DIRECTORY, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE)
	if err != nil {
		return err
	}
	f := t.file(path)
	if err = check(t); err == nil && t.kind == fs.ModeDir {
		var names []string
		names, err = f.Readdirnames(-1)
		for _, name := range names {
			err = errors.Join(err, removeAll(path+`\`+name, func(thing) error { return nil }))
		}
	}
	if err == nil {
		if err = t.remove(); err != nil {
			err = &fs.PathError{Op: "remove", Path: path, Err: err}
		}
	}
	return errors.Join(err, f.Close())
}

// Sync has the whole volume written to disk, which only an administrator can. For
// anybody else it is done already: what WriteFile wrote is on disk.
func (h Host) Sync(name string) error {
	path, err := h.Locate(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	volume := filepath.VolumeName(path)
	if len(volume) != len("C:") {
		return nil // a share: its server sees to its disks
	}
	p, err := windows.UTF16PtrFromString(`\\.\` + volume)
	if err != nil {
		return err
	}
	f, err := windows.CreateFile(p, windows.GENERIC_WRITE, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE, nil, windows.OPEN_EXISTING, 0, 0)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err == nil {
		defer closeHandle(f)
		err = windows.FlushFileBuffers(f)
	}
	if errors.Is(err, windows.ERROR_INVALID_FUNCTION) {
		return nil // this file system has nothing to wait for; Wine says so of all
	}
	if err != nil {
		return &fs.PathError{Op: "sync", Path: volume, Err: err}
	}
	return nil
}

// Lock locks the first byte of a file, LockFileEx.
func (h Host) Lock(name string) (unlock func(), err error) {
	path, err := h.place(name)
	if err != nil {
		return nil, err
	}
	above, err := follow(path, true)
	if err != nil {
		return nil, err
	}
	defer above.letGo()
	t, err := private().create(path, windows.FILE_READ_DATA|windows.FILE_WRITE_DATA, false)
	if err != nil {
		return nil, err
	}
	if err := t.planted(above.open); err != nil {
		closeHandle(t.Handle)
		return nil, fmt.Errorf("%s %w", path, err)
	}
	if err := windows.LockFileEx(t.Handle, windows.LOCKFILE_EXCLUSIVE_LOCK, 0, 1, 0, new(windows.Overlapped)); err != nil {
		closeHandle(t.Handle)
		return nil, &fs.PathError{Op: "lock", Path: path, Err: err}
	}
	return func() {
		windows.UnlockFileEx(t.Handle, 0, 1, 0, new(windows.Overlapped)) //nolint:errcheck // closing does it too, but some time later
		closeHandle(t.Handle)
	}, nil
}

// MakePrivate closes a file, by its path on this host, to all but its owner and
// administrators.
func MakePrivate(path string) error {
	t, err := open(path, windows.WRITE_DAC, shareAll)
	if err != nil {
		return err
	}
	defer closeHandle(t.Handle)
	if t.kind != 0 || t.links != 1 {
		return &fs.PathError{Op: "chmod", Path: path, Err: fs.ErrInvalid}
	}
	sd, err := windows.SecurityDescriptorFromString(private().sddl())
	if err != nil {
		return err
	}
	const what = windows.DACL_SECURITY_INFORMATION | windows.PROTECTED_DACL_SECURITY_INFORMATION
	if err := windows.SetKernelObjectSecurity(t.Handle, what, sd); err != nil {
		return &fs.PathError{Op: "chmod", Path: path, Err: err}
	}
	return nil
}

// OpenLog opens a log for appending that only administrators may read. One that an
// ordinary user put there is removed first: every user can, in Windows' Temp.
func (h Host) OpenLog(name string) (*os.File, error) {
	path, err := h.place(name)
	if err != nil {
		return nil, err
	}
	above, err := follow(path, true)
	if err != nil {
		return nil, err
	}
	defer above.letGo()
	for range 10 { // against somebody who puts it there again and again
		t, err := private().create(path, windows.FILE_APPEND_DATA|windows.DELETE, false)
		if err != nil {
			return nil, err
		}
		if t.planted(above.open) == nil && t.links == 1 {
			return t.file(path), nil
		}
		err = t.remove() // of a file with more names this one only
		closeHandle(t.Handle)
		if err != nil {
			return nil, &fs.PathError{Op: "remove", Path: path, Err: err}
		}
	}
	return nil, fmt.Errorf("%s %w", path, ErrPlanted)
}

// Surroundings says that the host is a running one: nothing is installed with
// Windows Installer into an image that does not run.
func (h Host) Surroundings() Surroundings {
	return Surroundings{Booted: true, SameRoot: true, Env: os.Getenv}
}
