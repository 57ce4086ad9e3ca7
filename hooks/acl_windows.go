package hooks

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
)

// nameSurrogate is the bit of a reparse tag that says that it names another file,
// as symbolic links and junctions do: IsReparseTagNameSurrogate. Compressed and
// deduplicated files have tags without it.
const nameSurrogate = 0x20000000

const shareAll = windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE | windows.FILE_SHARE_DELETE

// A thing is an open file, folder or link, never what a link points to.
type thing struct {
	windows.Handle
	kind  fs.FileMode // fs.ModeDir, fs.ModeSymlink (any name surrogate), both, or 0
	links uint32      // names that it has
	own   bool        // its owner is who this process runs as, and has no more rights than we
	descriptor
}

// pointer is a path as system calls want it: with \\?\, which turns off that names
// such as "nul" or with a dot at their end mean something else, and the limit of
// 260 characters.
func pointer(name string) (*uint16, error) {
	if len(name) > 2 && name[1:3] == `:\` {
		name = `\\?\` + filepath.Clean(name)
	}
	return windows.UTF16PtrFromString(name)
}

// open opens what is there.
func open(name string, access, share uint32) (t thing, err error) {
	defer func() {
		if err != nil {
			err = &fs.PathError{Op: "open", Path: name, Err: err}
		}
	}()
	p, err := pointer(name)
	if err != nil {
		return thing{}, err
	}
	const flags = windows.FILE_FLAG_OPEN_REPARSE_POINT | windows.FILE_FLAG_BACKUP_SEMANTICS // the latter for folders
	h, err := windows.CreateFile(p, access|windows.READ_CONTROL|windows.FILE_READ_ATTRIBUTES, share, nil, windows.OPEN_EXISTING, flags, 0)
	if err != nil {
		return thing{}, err
	}
	t, err = look(h)
	if err != nil {
		closeHandle(h)
	}
	return t, err
}

// look tells what a handle is of.
func look(h windows.Handle) (thing, error) {
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(h, &info); err != nil {
		return thing{}, err
	}
	t := thing{Handle: h, links: info.NumberOfLinks}
	if info.FileAttributes&windows.FILE_ATTRIBUTE_DIRECTORY != 0 {
		t.kind = fs.ModeDir
	}
	if info.FileAttributes&windows.FILE_ATTRIBUTE_REPARSE_POINT != 0 {
		var tag struct{ attributes, tag uint32 } // FILE_ATTRIBUTE_TAG_INFO
		size := uint32(unsafe.Sizeof(tag))
		if err := windows.GetFileInformationByHandleEx(h, windows.FileAttributeTagInfo, (*byte)(unsafe.Pointer(&tag)), size); err != nil { //nolint:gosec // as the call wants it
			return thing{}, err
		}
		if tag.tag&nameSurrogate != 0 {
			t.kind |= fs.ModeSymlink
		}
	}
	sd, err := windows.GetSecurityInfo(h, windows.SE_FILE_OBJECT,
		windows.OWNER_SECURITY_INFORMATION|windows.GROUP_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return thing{}, err
	}
	if t.descriptor, err = readDescriptor(sd); err != nil {
		return thing{}, err
	}
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return thing{}, fmt.Errorf("asking who we are: %w", err)
	}
	t.own = user.User.Sid.String() == t.owner
	return t, nil
}

func (t thing) link() bool { return t.kind&fs.ModeSymlink != 0 }

// planted says why the thing may be an ordinary user's, or returns nil.
func (t thing) planted(open bool) error {
	if t.own {
		return nil
	}
	return t.descriptor.planted(t.link(), open)
}

// readDescriptor turns Windows' form of a descriptor into ours.
func readDescriptor(sd *windows.SECURITY_DESCRIPTOR) (descriptor, error) {
	var d descriptor
	for _, who := range []struct {
		get func() (*windows.SID, bool, error)
		sid *string
	}{{sd.Owner, &d.owner}, {sd.Group, &d.group}} {
		sid, _, err := who.get()
		if err != nil {
			return descriptor{}, err
		}
		if sid != nil {
			*who.sid = sid.String()
		}
	}
	control, _, err := sd.Control()
	if err != nil {
		return descriptor{}, err
	}
	d.protected = control&windows.SE_DACL_PROTECTED != 0
	list, _, err := sd.DACL()
	if err != nil && !errors.Is(err, windows.ERROR_OBJECT_NOT_FOUND) {
		return descriptor{}, err
	}
	if list == nil { // the opposite of an empty one
		d.open = true
		return d, nil
	}
	for i := range uint32(list.AceCount) {
		var a *windows.ACCESS_ALLOWED_ACE
		if err := windows.GetAce(list, i, &a); err != nil {
			return descriptor{}, err
		}
		e := ace{kind: a.Header.AceType, flags: a.Header.AceFlags, mask: uint32(a.Mask)}
		if e.kind == aceAllowed || e.kind == aceDenied { // others have more before the account
			e.sid = (*windows.SID)(unsafe.Pointer(&a.SidStart)).String() //nolint:gosec // where it starts
		}
		d.list = append(d.list, e)
	}
	runtime.KeepAlive(sd)
	return d, nil
}

// attributes gives what a call that makes a file or folder takes; the zero
// descriptor stands for what the folder above hands on.
func (d descriptor) attributes() (*windows.SecurityAttributes, error) {
	if d.list == nil {
		return nil, nil
	}
	sd, err := windows.SecurityDescriptorFromString(d.sddl())
	if err != nil {
		return nil, fmt.Errorf("security descriptor %s: %w", d.sddl(), err)
	}
	sa := &windows.SecurityAttributes{SecurityDescriptor: sd}
	sa.Length = uint32(unsafe.Sizeof(*sa))
	return sa, nil
}

// set gives the thing the owner, group and list of d. Windows hands the list on to
// what is below.
func (t thing) set(d descriptor) error {
	sd, err := windows.SecurityDescriptorFromString(d.sddl())
	if err != nil {
		return fmt.Errorf("security descriptor %s: %w", d.sddl(), err)
	}
	owner, _, err := sd.Owner()
	if err != nil {
		return err
	}
	group, _, err := sd.Group()
	if err != nil {
		return err
	}
	list, _, err := sd.DACL()
	if err != nil {
		return err
	}
	const what = windows.OWNER_SECURITY_INFORMATION | windows.GROUP_SECURITY_INFORMATION |
		windows.DACL_SECURITY_INFORMATION | windows.PROTECTED_DACL_SECURITY_INFORMATION
	err = windows.SetSecurityInfo(t.Handle, windows.SE_FILE_OBJECT, what, owner, group, list, nil)
	runtime.KeepAlive(sd)
	return err
}

// A trail is the folders above a path, held so that nobody can put another in the
// place of one until it is let go.
type trail struct {
	held []windows.Handle
	open bool // every user can make files in the last one
}

func (t trail) letGo() {
	for _, h := range t.held {
		closeHandle(h)
	}
}

// follow goes through the folders above name, and refuses one that an ordinary
// user may have put there. It makes those that are missing if missing is set:
// where every user could write in them, closed to these.
func follow(name string, missing bool) (t trail, err error) {
	defer func() {
		if err != nil {
			t.letGo()
		}
	}()
	volume := filepath.VolumeName(name)
	dir := volume + `\`
	rest := strings.Trim(filepath.Dir(name[len(volume):]), `\`)
	parts := strings.Split(rest, `\`)
	if rest == "" {
		parts = nil
	}
	for i := 0; ; i++ {
		// A folder that is open for listing and not shared for deleting can be neither
		// renamed nor removed.
		f, err := open(dir, windows.FILE_LIST_DIRECTORY, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE)
		if errors.Is(err, fs.ErrNotExist) && missing && i > 0 {
			if err = makeFolder(dir, t.open); err == nil {
				f, err = open(dir, windows.FILE_LIST_DIRECTORY, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE)
			}
		}
		if err != nil {
			return t, err
		}
		t.held = append(t.held, f.Handle)
		if i > 0 {
			if err := f.planted(t.open); err != nil {
				return t, fmt.Errorf("%s %w", dir, err)
			}
		}
		if f.kind == 0 {
			return t, &fs.PathError{Op: "open", Path: dir, Err: windows.ERROR_DIRECTORY}
		}
		t.open = accounts(nil).attr(f.descriptor, fs.ModeDir).Mode&0o002 != 0
		if i == len(parts) {
			return t, nil
		}
		dir = filepath.Join(dir, parts[i])
	}
}

// makeFolder makes a folder that is as the one above it, unless every user can
// write there.
func makeFolder(name string, open bool) error {
	var d descriptor
	if open {
		var err error
		if d, err = accounts(nil).descriptor(Attr{Mode: fs.ModeDir | 0o755}); err != nil {
			return err
		}
	}
	return d.mkdir(name)
}

// mkdir makes a folder which has the descriptor from its beginning.
func (d descriptor) mkdir(name string) error {
	p, err := pointer(name)
	if err != nil {
		return err
	}
	sa, err := d.attributes()
	if err != nil {
		return err
	}
	if err := windows.CreateDirectory(p, sa); err != nil {
		return &fs.PathError{Op: "mkdir", Path: name, Err: err}
	}
	return nil
}

// create makes a file which has the descriptor from its beginning; exclusive means
// that nothing may be there and that nobody else can open it meanwhile.
func (d descriptor) create(name string, access uint32, exclusive bool) (thing, error) {
	wrap := func(err error) error { return &fs.PathError{Op: "open", Path: name, Err: err} }
	p, err := pointer(name)
	if err != nil {
		return thing{}, wrap(err)
	}
	sa, err := d.attributes()
	if err != nil {
		return thing{}, wrap(err)
	}
	share, disposition := uint32(shareAll), uint32(windows.OPEN_ALWAYS)
	if exclusive {
		share, disposition = 0, windows.CREATE_NEW
	}
	h, err := windows.CreateFile(p, access|windows.READ_CONTROL|windows.FILE_READ_ATTRIBUTES|windows.SYNCHRONIZE, share, sa, disposition,
		windows.FILE_ATTRIBUTE_NORMAL|windows.FILE_FLAG_OPEN_REPARSE_POINT, 0)
	if err != nil {
		return thing{}, wrap(err)
	}
	t, err := look(h)
	if err != nil {
		closeHandle(h)
		return thing{}, wrap(err)
	}
	return t, nil
}

// remove removes the thing, which has to be open for deleting; its name is free
// when it is closed. Where Windows can, that is at once even if others have it
// open, as Unix does it.
func (t thing) remove() error {
	const fileDispositionInfoEx = 21              // FileDispositionInfoEx, since Windows 10 1709
	const deleteAtOnce = uint32(0x1 | 0x2 | 0x10) // DELETE, POSIX_SEMANTICS, IGNORE_READONLY_ATTRIBUTE
	flags := deleteAtOnce
	err := windows.SetFileInformationByHandle(t.Handle, fileDispositionInfoEx, (*byte)(unsafe.Pointer(&flags)), uint32(unsafe.Sizeof(flags))) //nolint:gosec // as the call wants it
	if err == nil || errors.Is(err, windows.ERROR_DIR_NOT_EMPTY) {
		return err
	}
	yes := byte(1) // FILE_DISPOSITION_INFO
	return windows.SetFileInformationByHandle(t.Handle, windows.FileDispositionInfo, &yes, 1)
}

// foreign finds something below a folder that an ordinary user made, or a link
// that is not an administrator's.
func foreign(dir string) error {
	return filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		t, err := open(name, 0, shareAll)
		if err != nil {
			return err
		}
		closeHandle(t.Handle)
		if err := t.planted(true); err != nil {
			return fmt.Errorf("%s %w", name, err)
		}
		return nil
	})
}

// file makes a Go file of an open one.
func (t thing) file(name string) *os.File { return os.NewFile(uintptr(t.Handle), name) }
