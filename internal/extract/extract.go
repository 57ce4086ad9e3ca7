// Package extract lays the content of a package down in a folder.
//
// The package may be hostile. Everything goes through an os.Root, so that nothing
// lands outside of the folder; and no symbolic link is followed within it either,
// whether the package made it or it was there before.
package extract

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vpkg/vpkg/packaging"
)

// Options say what to extract, and how.
type Options struct {
	// Paths are those of the entries to extract, each with all that is below it.
	// None means everything.
	Paths []string
	// Force replaces files and links that are there already: until all is extracted they
	// have names that begin with .vpkg-. Folders stay.
	Force bool
	// Preserve keeps setuid and setgid bits.
	Preserve bool
	// Owners gives entries their owners, which needs root.
	Owners bool
	// Date is the modification time of entries that have none of their own.
	Date time.Time
}

// A Result says what was extracted.
type Result struct {
	Files, Folders, Links int   // Links are symbolic ones, hard links are files
	Bytes                 int64 // of the files, hard links once
	// Skipped are the paths of devices and pipes, which are not made.
	Skipped []string
}

// Each hands out the entries of a package: packaging.Extractor's with its first
// arguments.
type Each func(f func(e *packaging.Entry, body io.Reader) error) error

// To extracts into the folder dir, which it makes. Folders that were there before
// keep their modes. Where it fails, everything that it made is removed, and what it
// replaced is back.
func To(dir string, each Each, o Options) (_ Result, err error) {
	paths, err := clean(o.Paths)
	if err != nil {
		return Result{}, err
	}
	_, err = os.Lstat(dir)
	isNew := errors.Is(err, fs.ErrNotExist)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Result{}, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Result{}, err
	}
	defer root.Close()
	x := &extractor{
		o: o, paths: paths, root: root, parent: root, parentName: ".", kinds: map[string]kind{".": folderBefore}, folded: map[string]string{},
		buf: make([]byte, 128<<10), accounts: newAccounts(),
	}
	defer x.open(".") //nolint:errcheck // the root is open; it closes the folder before
	if err = each(x.entry); err == nil {
		err = x.finish()
	}
	if err == nil {
		return x.result, x.discard()
	}
	left := x.undo()
	if left == nil && isNew {
		root.Close() // before it goes; nothing was written through it alone
		left = os.Remove(dir)
	}
	if left != nil {
		return Result{}, fmt.Errorf("%w; what was extracted before is still in %s: %w", err, dir, left)
	}
	return Result{}, err
}

// clean makes paths absolute as those of entries are. The value says whether an
// entry had the path.
func clean(paths []string) (map[string]bool, error) {
	all := make(map[string]bool)
	for _, p := range paths {
		if p == "" {
			return nil, errors.New("an empty path is no path of an entry")
		}
		all[path.Clean("/"+p)] = false
	}
	return all, nil
}

// A kind says what a name below the root is.
type kind uint8

const (
	_            kind = iota
	folderBefore      // that was there
	folder
	file
	link // a symbolic one
)

// An extractor extracts one package.
type extractor struct {
	o     Options
	root  *os.Root
	paths map[string]bool // see clean

	kinds   map[string]kind   // of what is known to be there, by its name below the root
	made    []string          // names of what was made, in that order
	aside   []renamed         // what was there before
	folded  map[string]string // names by their lower case
	pending []pending         // folders whose attributes are set at the end

	// What is in one folder mostly comes together. Names in an open folder are looked
	// up at once, and not step by step from the root.
	parent     *os.Root
	parentName string // "." for root itself

	accounts *accounts
	result   Result
	buf      []byte
}

// pending is a folder that was made, and can be written to until the end.
type pending struct {
	name  string
	entry packaging.Entry
}

// renamed is what had a name until it was wanted for an entry.
type renamed struct{ from, to string }

// wanted reports whether an entry is one of Options.Paths or below one.
func (x *extractor) wanted(p string) bool {
	if len(x.paths) == 0 {
		return true
	}
	for q := p; ; q = path.Dir(q) {
		if _, ok := x.paths[q]; ok {
			x.paths[q] = true
			return true
		}
		if q == "/" || q == "." {
			return false
		}
	}
}

// entry extracts one.
func (x *extractor) entry(e *packaging.Entry, body io.Reader) error {
	if !x.wanted(e.Path) || e.Path == "/" {
		return nil
	}
	if err := x.extract(e, body); err != nil {
		return fmt.Errorf("extracting %q: %w", e.Path, plain(err))
	}
	return nil
}

// plain leaves the name out of an error that is told with the entry's path.
func plain(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok && err == error(pe) { //nolint:errorlint // only when it is not wrapped
		return pe.Err
	}
	return err
}

func (x *extractor) extract(e *packaging.Entry, body io.Reader) error {
	name := strings.TrimPrefix(e.Path, "/")
	if !fs.ValidPath(name) {
		return errors.New("it is not absolute, or has . or .. in it")
	}
	if _, err := filepath.Localize(name); err != nil {
		return errors.New("this system has no such names")
	}
	switch {
	case e.Mode.IsDir(), e.Mode&fs.ModeSymlink != 0:
	case !e.Mode.IsRegular():
		x.result.Skipped = append(x.result.Skipped, e.Path)
		return nil
	case body == nil && e.HardLink == "":
		return errors.New("its content is not in the package file")
	}
	if err := x.folder(path.Dir(name)); err != nil {
		return err
	}
	if e.Mode.IsDir() {
		return x.makeFolder(name, e)
	}
	if err := x.open(path.Dir(name)); err != nil {
		return err
	}
	if err := x.free(name); err != nil {
		return err
	}
	switch {
	case e.Mode&fs.ModeSymlink != 0:
		return x.makeLink(name, e)
	case e.HardLink != "":
		return x.makeHardLink(name, e)
	}
	return x.makeFile(name, e, body)
}

// folder makes sure that name is a folder, and no link to one.
func (x *extractor) folder(name string) error {
	switch x.kinds[name] {
	case folder, folderBefore:
		return nil
	}
	if err := x.folder(path.Dir(name)); err != nil {
		return err
	}
	if err := x.sameCase(name); err != nil {
		return err
	}
	switch fi, err := x.root.Lstat(name); {
	case err == nil && fi.IsDir():
		x.kinds[name] = folderBefore
	case err == nil && fi.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%q is a symbolic link, and links are not followed", name)
	case err == nil:
		return fmt.Errorf("%q is no folder", name)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	default:
		if err := x.root.Mkdir(name, 0o755); err != nil {
			return err
		}
		x.record(name, folder)
	}
	return nil
}

// open makes name, a folder that is there, the parent.
func (x *extractor) open(name string) error {
	if name == x.parentName {
		return nil
	}
	next := x.root
	if name != "." {
		var err error
		if next, err = x.root.OpenRoot(name); err != nil {
			return err
		}
	}
	if x.parent != x.root {
		x.parent.Close() // it was read from only
	}
	x.parent, x.parentName = next, name
	return nil
}

// record remembers what was made.
func (x *extractor) record(name string, k kind) {
	x.kinds[name] = k
	x.made = append(x.made, name)
}

// sameCase fails if a name is another's but for its case, and the file system takes
// them for the same.
func (x *extractor) sameCase(name string) error {
	lower := strings.ToLower(name)
	other, ok := x.folded[lower]
	if !ok {
		x.folded[lower] = name
		return nil
	}
	if other == name || x.kinds[name] != 0 {
		return nil
	}
	fi, err := x.root.Lstat(name)
	if err != nil {
		return nil
	}
	if fo, err := x.root.Lstat(other); err == nil && os.SameFile(fi, fo) {
		return fmt.Errorf("it has the name of %q but for its case, which this file system does not tell apart", "/"+other)
	}
	return nil
}

// free makes sure that nothing has the name, which is in the parent.
func (x *extractor) free(name string) error {
	if x.kinds[name] == folder || x.kinds[name] == file || x.kinds[name] == link {
		return errors.New("it is there twice")
	}
	if err := x.sameCase(name); err != nil {
		return err
	}
	switch fi, err := x.parent.Lstat(path.Base(name)); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case fi.IsDir():
		return errors.New("there is a folder of that name")
	case !x.o.Force:
		return fs.ErrExist
	}
	to := ".vpkg-" + rand.Text() // which no package can foresee
	if err := x.parent.Rename(path.Base(name), to); err != nil {
		return err
	}
	x.aside = append(x.aside, renamed{name, path.Join(path.Dir(name), to)})
	return nil
}

func (x *extractor) makeFolder(name string, e *packaging.Entry) error {
	if err := x.folder(name); err != nil {
		return err
	}
	x.result.Folders++
	if x.kinds[name] == folder {
		x.pending = append(x.pending, pending{name, *e})
	}
	return nil
}

func (x *extractor) makeFile(name string, e *packaging.Entry, body io.Reader) (err error) {
	base := path.Base(name)
	f, err := x.parent.OpenFile(base, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	x.record(name, file)
	n, err := io.CopyBuffer(struct{ io.Writer }{f}, body, x.buf)
	if err == nil && x.o.Owners {
		err = x.chown(e, f.Chown) // before the mode: it clears setuid
	}
	if err == nil {
		err = f.Chmod(x.mode(e))
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	x.result.Files++
	x.result.Bytes += n
	return x.setTime(x.parent, base, e)
}

func (x *extractor) makeHardLink(name string, e *packaging.Entry) error {
	target := strings.TrimPrefix(e.HardLink, "/")
	if x.kinds[target] != file {
		return fmt.Errorf("it is a hard link to %q, which is not extracted", e.HardLink)
	}
	if err := x.root.Link(target, name); err != nil {
		return err
	}
	x.record(name, file)
	x.result.Files++
	return nil
}

func (x *extractor) makeLink(name string, e *packaging.Entry) error {
	base := path.Base(name)
	if err := x.parent.Symlink(e.Target, base); err != nil {
		return err
	}
	x.record(name, link)
	x.result.Links++
	if !x.o.Owners {
		return nil
	}
	return x.chown(e, func(uid, gid int) error { return x.parent.Lchown(base, uid, gid) })
}

// chown calls f with the numbers of an entry's owner.
func (x *extractor) chown(e *packaging.Entry, f func(uid, gid int) error) error {
	uid, gid, err := x.accounts.ids(e.OwnerName(), e.GroupName())
	if err != nil {
		return err
	}
	return f(uid, gid)
}

// mode is the one that an entry gets.
func (x *extractor) mode(e *packaging.Entry) fs.FileMode {
	mode := e.Mode.Perm()
	if e.Mode.IsDir() {
		mode |= e.Mode & fs.ModeSticky
	}
	if x.o.Preserve {
		mode |= e.Mode & (fs.ModeSetuid | fs.ModeSetgid)
	}
	return mode
}

// setTime gives a file or folder its time.
func (x *extractor) setTime(in *os.Root, name string, e *packaging.Entry) error {
	t := e.ModTime
	if t.IsZero() {
		t = x.o.Date
	}
	if t.IsZero() {
		return nil
	}
	return in.Chtimes(name, t, t)
}

// finishFolder gives a folder that was made its owner, mode and time.
func (x *extractor) finishFolder(p *pending) error {
	if x.o.Owners {
		if err := x.chown(&p.entry, func(uid, gid int) error { return x.root.Lchown(p.name, uid, gid) }); err != nil {
			return err
		}
	}
	if err := x.root.Chmod(p.name, x.mode(&p.entry)); err != nil {
		return err
	}
	return x.setTime(x.root, p.name, &p.entry)
}

// finish sets the attributes of folders, the deepest first, and looks whether all
// of Options.Paths were there.
func (x *extractor) finish() error {
	for p, found := range x.paths {
		if !found {
			return fmt.Errorf("the package has no %q in its payload", p)
		}
	}
	slices.SortFunc(x.pending, func(a, b pending) int { return strings.Compare(b.name, a.name) })
	for i := range x.pending {
		p := &x.pending[i]
		if err := x.finishFolder(p); err != nil {
			return fmt.Errorf("extracting %q: %w", p.entry.Path, plain(err))
		}
	}
	return nil
}

// discard removes what was replaced.
func (x *extractor) discard() error {
	for _, r := range x.aside {
		if err := x.root.Remove(r.to); err != nil {
			return fmt.Errorf("all is extracted, but what was at %q before is not removed: %w", "/"+r.from, err)
		}
	}
	return nil
}

// undo removes what was made, gives what was replaced its name back, and gives the
// first error.
func (x *extractor) undo() error {
	first := x.open(".") // so that no folder that goes is open
	for _, name := range slices.Backward(x.made) {
		if x.kinds[name] == folder {
			x.root.Chmod(name, 0o700) //nolint:errcheck // it may have its final mode; Remove tells what matters
		}
		if err := x.root.Remove(name); err != nil && first == nil && !errors.Is(err, fs.ErrNotExist) {
			first = err
		}
	}
	for _, r := range x.aside {
		if err := x.root.Rename(r.to, r.from); err != nil && first == nil {
			first = err
		}
	}
	return first
}
