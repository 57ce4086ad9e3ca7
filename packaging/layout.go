package packaging

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Layout is the sorted list of the entries that a package lays down. It is
// what a manifest means, what a package file holds and what an installed host
// shows, so that any two of them can be compared: see Diff.
type Layout []Entry

// An Entry is one file, folder or link.
type Entry struct {
	Path  string      // absolute, clean, with slashes: "/opt/illumio_ven/bin/vpkg-hook"
	Mode  fs.FileMode // type and permission bits, with ModeSetuid, ModeSetgid, ModeSticky
	Owner string      // by name; empty means root
	Group string      // by name; empty means root

	Size   int64  // bytes of a regular file; 0 for everything else
	SHA256 Digest // of a regular file's content; zero for everything else and for ghosts
	Target string // what a symbolic link points to

	// HardLink is the path of the entry, earlier in the layout, whose file this one
	// is another name of. Mode, owner, size and digest are then the same.
	HardLink string

	Config Config // how the package manager treats local changes
	Ghost  bool   // owned by the package but not in its payload
	Doc    bool   // RPM %doc
	Lic    bool   // RPM %license
	Readme bool   // RPM %readme

	// NoVerify lists the attributes that `rpm -V` does not check, in rpm's words:
	// "md5" "size" "link" "user" "group" "mtime" "mode" "rdev" "caps".
	NoVerify []string

	Caps string // file capabilities in cap_to_text(3) form: "cap_net_admin=ep"
	Lang string // RPM %lang

	ModTime time.Time // zero means the package's Date

	// Body gives the content of a regular file that is not a ghost and no hard
	// link. It is nil in a layout that was read.
	Body Body
}

// A Body is where the content of a file comes from. Open may be called any
// number of times, by several goroutines at once, and gives the same bytes each
// time; who opens closes.
type Body interface {
	Open() (io.ReadCloser, error)
}

// A Digest is a SHA-256 sum. Its zero value means that there is none.
type Digest [32]byte

// IsZero reports whether there is no digest.
func (d Digest) IsZero() bool { return d == Digest{} }

// String gives 64 lower-case hex digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText gives String.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText gives.
func (d *Digest) UnmarshalText(b []byte) error {
	v, err := ParseDigest(string(b))
	*d = v
	return err
}

// ParseDigest reads 64 hex digits.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if len(s) != 2*len(d) {
		return Digest{}, fmt.Errorf("digest %q has %d digits, want %d", s, len(s), 2*len(d))
	}
	if _, err := hex.Decode(d[:], []byte(s)); err != nil {
		return Digest{}, fmt.Errorf("digest %q: %w", s, err)
	}
	return d, nil
}

// Config says how the package manager treats a file that the administrator may
// have changed.
type Config uint8

// The kinds of configuration files.
const (
	NotConfig       Config = iota
	ConfigReplace          // RPM %config: the old file becomes .rpmsave
	ConfigNoReplace        // RPM %config(noreplace), DEB conffile: the local file stays
	ConfigMissingOK        // RPM %config(missingok)
)

func (c Config) String() string {
	return [...]string{"", "config", "config(noreplace)", "config(missingok)"}[c]
}

// Regular reports whether the entry is a regular file.
func (e *Entry) Regular() bool { return e.Mode.IsRegular() }

// HasBody reports whether the entry has content in the payload.
func (e *Entry) HasBody() bool { return e.Regular() && !e.Ghost && e.HardLink == "" }

// OwnerName is Owner, or root.
func (e *Entry) OwnerName() string { return orRoot(e.Owner) }

// GroupName is Group, or root.
func (e *Entry) GroupName() string { return orRoot(e.Group) }

func orRoot(s string) string {
	if s == "" {
		return "root"
	}
	return s
}

// Sort orders the entries by path, as bytes, so that a folder stands before what
// is in it.
func (l Layout) Sort() {
	slices.SortStableFunc(l, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
}

// Lookup finds the entry with the given path in a sorted layout.
func (l Layout) Lookup(path string) (Entry, bool) {
	i, ok := slices.BinarySearchFunc(l, path, func(e Entry, p string) int { return strings.Compare(e.Path, p) })
	if !ok {
		return Entry{}, false
	}
	return l[i], true
}

// Size is the sum of the sizes of the files that a package with this layout puts
// on disk: hard links count once, ghosts not at all.
func (l Layout) Size() int64 {
	var n int64
	for i := range l {
		if l[i].HasBody() {
			n += l[i].Size
		}
	}
	return n
}

// UnixMode is the mode as stat(2) gives it: type and permission bits.
func UnixMode(m fs.FileMode) uint32 {
	u := uint32(m.Perm())
	if m&fs.ModeSetuid != 0 {
		u |= 0o4000
	}
	if m&fs.ModeSetgid != 0 {
		u |= 0o2000
	}
	if m&fs.ModeSticky != 0 {
		u |= 0o1000
	}
	switch {
	case m.IsRegular():
		u |= 0o100000
	case m.IsDir():
		u |= 0o040000
	case m&fs.ModeSymlink != 0:
		u |= 0o120000
	}
	return u
}

// FileMode is the inverse of UnixMode. A type other than file, folder and link
// gives fs.ModeIrregular.
func FileMode(u uint32) fs.FileMode {
	m := fs.FileMode(u & 0o777)
	if u&0o4000 != 0 {
		m |= fs.ModeSetuid
	}
	if u&0o2000 != 0 {
		m |= fs.ModeSetgid
	}
	if u&0o1000 != 0 {
		m |= fs.ModeSticky
	}
	switch u & 0o170000 {
	case 0o100000, 0:
	case 0o040000:
		m |= fs.ModeDir
	case 0o120000:
		m |= fs.ModeSymlink
	default:
		m |= fs.ModeIrregular
	}
	return m
}

// ModeText is the mode as ls -l shows it: "-rwsr-xr-x", "drwxrwxrwt", "lrwxrwxrwx".
func ModeText(m fs.FileMode) string {
	b := []byte(m.Perm().String())
	switch m.Type() {
	case 0:
	case fs.ModeDir:
		b[0] = 'd'
	case fs.ModeSymlink:
		b[0] = 'l'
	case fs.ModeDevice:
		b[0] = 'b'
	case fs.ModeDevice | fs.ModeCharDevice:
		b[0] = 'c'
	case fs.ModeNamedPipe:
		b[0] = 'p'
	case fs.ModeSocket:
		b[0] = 's'
	default:
		b[0] = '?'
	}
	for _, x := range []struct {
		bit    fs.FileMode
		at     int
		letter byte // a capital without the right to execute
	}{{fs.ModeSetuid, 3, 's'}, {fs.ModeSetgid, 6, 's'}, {fs.ModeSticky, 9, 't'}} {
		switch {
		case m&x.bit == 0:
		case b[x.at] == 'x':
			b[x.at] = x.letter
		default:
			b[x.at] = x.letter - 'a' + 'A'
		}
	}
	return string(b)
}

// recordEntry is an Entry in the record, etc/layout.json. Names and forms are
// part of the format that verifiers read: add, never change.
type recordEntry struct {
	Path     string `json:"path"`
	Type     string `json:"type"` // file, dir, symlink
	Mode     string `json:"mode,omitempty"`
	Owner    string `json:"owner"`
	Group    string `json:"group"`
	Size     int64  `json:"size,omitempty"`
	SHA256   string `json:"sha256,omitempty"`
	Target   string `json:"target,omitempty"`
	HardLink string `json:"hardlink,omitempty"`
	Config   string `json:"config,omitempty"`
	Ghost    bool   `json:"ghost,omitempty"`
	Caps     string `json:"caps,omitempty"`
}

type record struct {
	Version int           `json:"version"` // 1
	Entries []recordEntry `json:"entries"`
}

// MarshalJSON writes the record: what etc/layout.json holds. It leaves out what
// only a package file knows, such as documentation flags and times.
func (l Layout) MarshalJSON() ([]byte, error) {
	r := record{Version: 1, Entries: make([]recordEntry, len(l))}
	for i := range l {
		r.Entries[i] = newRecordEntry(&l[i])
	}
	return json.Marshal(r)
}

func newRecordEntry(e *Entry) recordEntry {
	re := recordEntry{
		Path: e.Path, Owner: e.OwnerName(), Group: e.GroupName(),
		Size: e.Size, Target: e.Target, HardLink: e.HardLink,
		Config: e.Config.String(), Ghost: e.Ghost, Caps: e.Caps,
	}
	switch {
	case e.Mode.IsDir():
		re.Type = "dir"
	case e.Mode&fs.ModeSymlink != 0:
		re.Type = "symlink"
	default:
		re.Type = "file"
	}
	if re.Type != "symlink" { // Linux has no mode of its own for links
		re.Mode = fmt.Sprintf("%04o", UnixMode(e.Mode)&0o7777)
	}
	if !e.SHA256.IsZero() {
		re.SHA256 = e.SHA256.String()
	}
	return re
}

// A Listing is a layout for those who read about a package: its JSON is the record with
// what only a package file knows.
type Listing Layout

type listingEntry struct {
	recordEntry
	Doc      bool      `json:"doc,omitempty"`
	License  bool      `json:"license,omitempty"`
	Readme   bool      `json:"readme,omitempty"`
	Lang     string    `json:"lang,omitempty"`
	NoVerify []string  `json:"noverify,omitempty"`
	Time     time.Time `json:"time,omitzero"` // none means the package's date
}

// MarshalJSON writes the record with more of each entry.
func (l Listing) MarshalJSON() ([]byte, error) {
	r := struct {
		Version int            `json:"version"`
		Entries []listingEntry `json:"entries"`
	}{1, make([]listingEntry, len(l))}
	for i := range l {
		e := &l[i]
		r.Entries[i] = listingEntry{newRecordEntry(e), e.Doc, e.Lic, e.Readme, e.Lang, e.NoVerify, e.ModTime}
	}
	return json.Marshal(r)
}

// UnmarshalJSON reads a record.
func (l *Layout) UnmarshalJSON(b []byte) error {
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		return err
	}
	if r.Version != 1 {
		return fmt.Errorf("layout record has version %d, want 1", r.Version)
	}
	out := make(Layout, len(r.Entries))
	for i, re := range r.Entries {
		e := Entry{
			Path: re.Path, Owner: re.Owner, Group: re.Group, Size: re.Size,
			Target: re.Target, HardLink: re.HardLink, Ghost: re.Ghost, Caps: re.Caps,
		}
		if re.Mode != "" {
			m, err := strconv.ParseUint(re.Mode, 8, 12)
			if err != nil {
				return fmt.Errorf("layout record: %s: mode %q is not octal", re.Path, re.Mode)
			}
			e.Mode = FileMode(uint32(m))
		}
		switch re.Type {
		case "file":
		case "dir":
			e.Mode |= fs.ModeDir
		case "symlink":
			e.Mode |= fs.ModeSymlink | 0o777
		default:
			return fmt.Errorf("layout record: %s: type %q is not file, dir or symlink", re.Path, re.Type)
		}
		c := slices.Index([]string{"", "config", "config(noreplace)", "config(missingok)"}, re.Config)
		if c < 0 {
			return fmt.Errorf("layout record: %s: unknown config kind %q", re.Path, re.Config)
		}
		e.Config = Config(c)
		if re.SHA256 != "" {
			d, err := ParseDigest(re.SHA256)
			if err != nil {
				return fmt.Errorf("layout record: %s: %w", re.Path, err)
			}
			e.SHA256 = d
		}
		out[i] = e
	}
	*l = out
	return nil
}

func utoa(u uint32) string { return strconv.FormatUint(uint64(u), 10) }
