package packaging

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// A Scan reads into a layout what is on a host. Its zero value reads this host.
//
// The host may be hostile: nothing but regular files is opened, and links are
// followed in Root alone, as the host itself would follow them: one that is absolute
// begins at Root.
type Scan struct {
	// Root is the folder that holds the host's files; empty means "/".
	Root string

	// Places are folders of this system by the paths that they have in the layout,
	// where these are not below Root: on Windows, where a product can be anywhere.
	Places map[string]string

	// User and Group give the name of the account with a number. Where several names
	// have it, want is the one to give. nil means that the number is the name.
	User, Group func(number uint32, want string) string

	// Whole are folders of which everything is read, and not only what the layout to
	// look for has. Of a folder that it does not have, only the folder itself is read.
	Whole []string

	// Skip says of which entries the content is not read; nil means of none.
	Skip func(e *Entry) bool

	// Hashed is called, by several goroutines, with how many bytes were read.
	Hashed func(n int)

	Workers int // that read files; 0 means as many as there are cores
}

// A ScanError says why an entry could not be read.
type ScanError struct {
	Path string
	Err  error
}

func (e *ScanError) Error() string { return fmt.Sprintf("reading %s: %v", e.Path, e.Err) }

// Unwrap gives Err.
func (e *ScanError) Unwrap() error { return e.Err }

// maxExtra is how many entries of Whole are read that the layout does not have.
const maxExtra = 10_000

// Read looks for the entries of want, which is sorted, and gives those that are
// there. What only a package knows, such as Config, they have from want; what the
// system does not know as well: owners, modes and capabilities on Windows.
//
// Of a regular file that is to have a digest and has the right size the content is
// read. Of any other SHA256 is zero.
//
// What can neither be read nor be said to be missing is among the errors, which are
// in the order of paths. Only a Root that cannot be opened, and the context's end,
// make all of it fail.
func (s *Scan) Read(ctx context.Context, want Layout) (Layout, []*ScanError, error) {
	r, err := s.open()
	if err != nil {
		return nil, nil, err
	}
	defer r.close()
	r.want, r.found = want, make([]found, len(want))
	r.run(ctx)
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	r.links(ctx)
	got := make(Layout, 0, len(want))
	for i := range r.found {
		if r.found[i].there {
			got = append(got, r.found[i].entry)
		}
		if err := r.found[i].err; err != nil {
			r.errs = append(r.errs, &ScanError{want[i].Path, err})
		}
	}
	for _, folder := range s.Whole {
		got = append(got, r.extra(ctx, folder)...)
	}
	got.Sort()
	got = slices.CompactFunc(got, func(a, b Entry) bool { return a.Path == b.Path }) // a folder of Whole in another
	slices.SortStableFunc(r.errs, func(a, b *ScanError) int { return strings.Compare(a.Path, b.Path) })
	return got, r.errs, ctx.Err()
}

// found is what is known of an entry that is wanted.
type found struct {
	entry Entry
	there bool
	err   error
	file  fs.FileInfo // of a regular file
}

// A place is a folder that paths are looked up in.
type place struct {
	path string // in the layout; "" for that of the root
	root *os.Root

	mu     sync.Mutex
	actual map[string]resolved // of folders by their name in the layout, below the place
}

// resolved is a folder's name without links, below its place.
type resolved struct {
	name string
	err  error
}

// A reading is one run of a Scan.
type reading struct {
	*Scan
	places []*place // the longest path first
	want   Layout
	found  []found
	errs   []*ScanError
	folded map[string]bool // paths of want in lower case, where names have no case
	extras int
}

func (s *Scan) open() (*reading, error) {
	r := &reading{Scan: s}
	add := func(p, dir string) error {
		root, err := os.OpenRoot(dir)
		if err == nil {
			r.places = append(r.places, &place{path: p, root: root, actual: map[string]resolved{".": {name: "."}}})
		}
		return err
	}
	err := add("", cmp.Or(s.Root, string(os.PathSeparator)))
	for p, dir := range s.Places {
		perr := add(p, dir)
		if !errors.Is(perr, fs.ErrNotExist) { // else all that is in it is missing, for it is looked up in Root
			err = errors.Join(err, perr)
		}
	}
	if err != nil {
		r.close()
		return nil, err
	}
	slices.SortFunc(r.places, func(a, b *place) int { return cmp.Compare(len(b.path), len(a.path)) })
	return r, nil
}

func (r *reading) close() {
	for _, p := range r.places {
		p.root.Close() // it was read from only
	}
}

// run reads all that is wanted. Each goroutine takes some entries at a time, which
// stand in one folder or in few, those with the most to read first.
func (r *reading) run(ctx context.Context) {
	order := make([]int, len(r.want))
	for i := range order {
		order[i] = i
	}
	dirs := make([]string, len(r.want))
	for i := range r.want {
		dirs[i] = path.Dir(r.want[i].Path)
	}
	slices.SortStableFunc(order, func(i, j int) int { return strings.Compare(dirs[i], dirs[j]) })

	const most, bytes = 128, 4 << 20 // of a chunk: entries, and how many bytes make it full
	type chunk struct {
		entries []int
		size    int64
	}
	var chunks []chunk
	for len(order) > 0 {
		c := chunk{}
		n := 0
		for n < len(order) && n < most && c.size < bytes {
			c.size += r.want[order[n]].Size
			n++
		}
		c.entries, order = order[:n], order[n:]
		chunks = append(chunks, c)
	}
	slices.SortStableFunc(chunks, func(a, b chunk) int { return cmp.Compare(b.size, a.size) })

	var next atomic.Int64
	var done sync.WaitGroup
	for range min(cmp.Or(r.Workers, runtime.GOMAXPROCS(0)), len(chunks)) {
		done.Go(func() {
			w := worker{reading: r}
			defer w.leave()
			for ctx.Err() == nil {
				n := int(next.Add(1)) - 1
				if n >= len(chunks) {
					return
				}
				for _, i := range chunks[n].entries {
					w.read(ctx, i)
				}
			}
		})
	}
	done.Wait()
}

// A worker reads entries, those of a folder after each other.
type worker struct {
	*reading
	dir   string // that is open, by its name in the layout
	root  *os.Root
	owned bool   // root is the worker's to close
	host  string // its name on this system
	err   error  // why it is not open
	buf   []byte
	sum   hash.Hash
}

func (w *worker) leave() {
	if w.owned {
		w.root.Close() // it was read from only
	}
	w.dir, w.root, w.owned, w.err = "", nil, false, nil
}

// enter opens a folder.
func (w *worker) enter(dir string) error {
	if w.dir == dir {
		return w.err
	}
	w.leave()
	w.dir = dir
	p, name := w.place(dir)
	actual, err := p.resolve(name)
	if err == nil {
		w.host = path.Join(p.root.Name(), actual)
		w.root = p.root
		if actual != "." {
			w.root, err = p.root.OpenRoot(actual)
			w.owned = err == nil
		}
	}
	w.err = err
	return err
}

// place finds in which one a path is, and its name in there.
func (r *reading) place(p string) (*place, string) {
	for _, at := range r.places {
		if rest, ok := strings.CutPrefix(p, at.path); ok && (rest == "" || rest[0] == '/') {
			return at, cmp.Or(strings.Trim(rest, "/"), ".")
		}
	}
	return r.places[len(r.places)-1], "\x00" // a path that is not absolute names nothing
}

// errLinks is what a path with a loop of links in it gives.
var errLinks = errors.New("too many levels of symbolic links")

// resolve gives the name that a folder has without links.
func (p *place) resolve(name string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.follow(name)
}

func (p *place) follow(name string) (string, error) {
	if r, ok := p.actual[name]; ok {
		return r.name, r.err
	}
	at, err := p.follow(path.Dir(name))
	rest := []string{path.Base(name)}
	for links := 0; err == nil && len(rest) > 0; {
		var element string
		element, rest = rest[0], rest[1:]
		switch element {
		case "", ".":
			continue
		case "..":
			at = path.Dir(at) // that of the root is the root
			continue
		}
		next := path.Join(at, element)
		var fi fs.FileInfo
		if fi, err = p.root.Lstat(next); err != nil {
			break
		}
		switch {
		case fi.IsDir():
			at = next
		case fi.Mode()&fs.ModeSymlink == 0:
			err = fs.ErrNotExist // it is no folder, so that nothing is in it
		case links == 40: // as many as Linux follows
			err = errLinks
		default:
			links++
			var target string
			if target, err = p.root.Readlink(next); err == nil {
				if path.IsAbs(target) {
					at = "."
				}
				rest = append(strings.Split(target, "/"), rest...)
			}
		}
	}
	p.actual[name] = resolved{at, err}
	return at, err
}

// read reads one of the entries that are wanted. What changes while it is read is
// read once more.
func (w *worker) read(ctx context.Context, i int) {
	for range 2 {
		f, again := w.look(ctx, &w.want[i])
		w.found[i] = f
		if !again {
			return
		}
	}
}

// look reads an entry, and says whether it changed meanwhile.
func (w *worker) look(ctx context.Context, want *Entry) (f found, again bool) {
	fi, err := w.lstat(want.Path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, errLinks) {
		return found{}, false
	}
	if err != nil {
		return found{err: plain(err)}, false
	}
	f = found{entry: w.entry(fi, want), there: true}
	switch mode := fi.Mode(); {
	case mode&fs.ModeSymlink != 0:
		if f.entry.Target, err = w.root.Readlink(path.Base(want.Path)); err != nil {
			return found{err: plain(err)}, true
		}
	case mode.IsRegular() && want.Regular():
		f.file = fi
		if f.entry.Caps, err = capsOf(path.Join(w.host, path.Base(want.Path)), want.Caps); err != nil {
			f.err = fmt.Errorf("its capabilities: %w", err)
		}
		if want.HardLink == "" {
			again = w.digest(ctx, want, &f)
		}
	}
	return f, again
}

func (w *worker) lstat(p string) (fs.FileInfo, error) {
	if len(p) > maxPath {
		return nil, syscall.ENAMETOOLONG
	}
	if at, name := w.place(p); name == "." {
		return at.root.Lstat(".")
	}
	if err := w.enter(path.Dir(p)); err != nil {
		return nil, err
	}
	return w.root.Lstat(path.Base(p))
}

// maxPath is the length of a path in bytes: PATH_MAX of Linux.
const maxPath = 4096

// entry says what can be seen from outside.
func (s *Scan) entry(fi fs.FileInfo, want *Entry) Entry {
	e := Entry{
		Path: want.Path, Mode: fi.Mode(),
		Config: want.Config, Ghost: want.Ghost, Doc: want.Doc, Lic: want.Lic, Readme: want.Readme, NoVerify: want.NoVerify, Lang: want.Lang,
		ModTime: want.ModTime,
	}
	switch {
	case e.Mode.IsRegular():
		e.Size = fi.Size()
		if !want.ModTime.IsZero() {
			e.ModTime = fi.ModTime()
		}
	case e.Mode&fs.ModeSymlink != 0:
		e.Mode |= 0o777
	case !e.Mode.IsDir() && want.Mode&fs.ModeIrregular != 0: // a package's device, of any kind
		e.Mode = fs.ModeIrregular | e.Mode&^fs.ModeType
	}
	s.attributes(&e, want, fi)
	return e
}

// digest reads the content of a file where it may be what it is to be, and says
// whether it changed meanwhile.
func (w *worker) digest(ctx context.Context, want *Entry, f *found) (again bool) {
	size := f.file.Size()
	if want.SHA256.IsZero() || size != want.Size || w.Skip != nil && w.Skip(want) {
		return false
	}
	if size == 0 {
		f.entry.SHA256 = sha256.Sum256(nil)
		return false
	}
	file, err := w.root.OpenFile(path.Base(want.Path), os.O_RDONLY|openFlags, 0)
	if err != nil {
		f.err = plain(err)
		return errors.Is(err, fs.ErrNotExist)
	}
	defer file.Close()
	if fi, err := file.Stat(); err != nil || !os.SameFile(fi, f.file) || fi.Size() != size {
		f.err = errChanges
		return true
	}
	if w.buf == nil {
		w.buf, w.sum = make([]byte, 256<<10), sha256.New()
	}
	w.sum.Reset()
	n := int64(0)
	for n < size && ctx.Err() == nil { // and no further, should it grow for ever
		k, err := file.Read(w.buf[:min(int64(len(w.buf)), size-n)])
		w.sum.Write(w.buf[:k])
		n += int64(k)
		if w.Hashed != nil && k > 0 {
			w.Hashed(k)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			f.err = plain(err)
			return false
		}
	}
	f.entry.Size = n
	f.entry.SHA256 = Digest(w.sum.Sum(nil))
	return n != size
}

// errChanges is what an entry gives that is another one each time it is looked at.
var errChanges = errors.New("it changes while it is read")

// links finds out about hard links, and reads what should be one and is not.
func (r *reading) links(ctx context.Context) {
	w := worker{reading: r}
	defer w.leave()
	names := map[Inode]string{} // the first path of each
	for i := range r.found {
		f, want := &r.found[i], &r.want[i]
		if f.file == nil {
			continue
		}
		id, several := InodeOf(f.file)
		if t, ok := r.index(want.HardLink); ok && several && r.found[t].file != nil && os.SameFile(f.file, r.found[t].file) {
			f.entry.HardLink, f.entry.Size, f.entry.SHA256 = want.HardLink, r.found[t].entry.Size, r.found[t].entry.SHA256
			continue
		}
		if several {
			f.entry.HardLink = names[id]
			if names[id] == "" {
				names[id] = want.Path
			}
		}
		if want.HardLink != "" && w.enter(path.Dir(want.Path)) == nil && w.digest(ctx, want, f) {
			f.err = cmp.Or(f.err, errChanges)
		}
	}
}

// isWanted reports whether want has a path.
func (r *reading) isWanted(p string) bool {
	if !foldsNames {
		_, ok := r.index(p)
		return ok
	}
	if r.folded == nil {
		r.folded = make(map[string]bool, len(r.want))
		for i := range r.want {
			r.folded[strings.ToLower(r.want[i].Path)] = true
		}
	}
	return r.folded[strings.ToLower(p)]
}

func (r *reading) index(p string) (int, bool) {
	return slices.BinarySearchFunc(r.want, p, func(e Entry, p string) int { return strings.Compare(e.Path, p) })
}

// extra gives what is in a folder and is not wanted.
func (r *reading) extra(ctx context.Context, folder string) []Entry {
	at, name := r.place(folder)
	actual, err := at.resolve(name)
	if err == nil {
		var found []Entry
		found, err = r.walk(ctx, at, actual, folder)
		if err == nil {
			return found
		}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		r.errs = append(r.errs, &ScanError{folder, plain(err)})
	}
	return nil
}

// walk goes through a folder, actual below its place, and those in it that are wanted.
// An error of one of these is noted, and the others gone through.
func (r *reading) walk(ctx context.Context, at *place, actual, folder string) ([]Entry, error) {
	d, err := at.root.OpenFile(actual, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	var all []Entry
	for ctx.Err() == nil && r.extras <= maxExtra {
		names, err := d.Readdirnames(1024)
		for _, name := range names {
			below := path.Join(actual, name)
			p := path.Join(folder, name)
			if !r.isWanted(p) {
				if e, there := r.stranger(at, below, p); there {
					all = append(all, e)
				}
				continue
			}
			if i, ok := r.index(p); ok && !r.found[i].entry.Mode.IsDir() {
				continue
			}
			more, err := r.walk(ctx, at, below, p)
			if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
				r.errs = append(r.errs, &ScanError{p, plain(err)})
			}
			all = append(all, more...)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// stranger reads an entry that nobody wants.
func (r *reading) stranger(at *place, actual, p string) (Entry, bool) {
	if r.extras++; r.extras > maxExtra {
		if r.extras == maxExtra+1 {
			r.errs = append(r.errs, &ScanError{path.Dir(p), fmt.Errorf("there are more than %d entries that do not belong there", maxExtra)})
		}
		return Entry{}, false
	}
	fi, err := at.root.Lstat(actual)
	if err != nil {
		return Entry{}, false // it has just gone
	}
	e := r.entry(fi, &Entry{Path: p})
	if fi.Mode()&fs.ModeSymlink != 0 {
		e.Target, _ = at.root.Readlink(actual) // it may have just gone
	}
	return e, true
}

// plain leaves a name out of an error that is told with the entry's path.
func plain(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// Open opens a regular file as Read would find it. One of more than limit bytes is an
// error.
func (s *Scan) Open(name string, limit int64) (*os.File, error) {
	r, err := s.open()
	if err != nil {
		return nil, err
	}
	defer r.close()
	w := worker{reading: r}
	defer w.leave()
	f, err := w.open(name, limit)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: plain(err)}
	}
	return f, nil
}

func (w *worker) open(name string, limit int64) (*os.File, error) {
	fi, err := w.lstat(name)
	switch {
	case err != nil:
		return nil, err
	case !fi.Mode().IsRegular():
		return nil, errors.New("it is no regular file")
	case fi.Size() > limit:
		return nil, fmt.Errorf("it has %d bytes, more than %d", fi.Size(), limit)
	}
	f, err := w.root.OpenFile(path.Base(name), os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, err
	}
	if now, err := f.Stat(); err != nil || !os.SameFile(now, fi) {
		f.Close() // nothing was read from it
		return nil, errChanges
	}
	return f, nil
}

// ReadFile reads what Open opens.
func (s *Scan) ReadFile(name string, limit int64) ([]byte, error) {
	f, err := s.Open(name, limit)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: plain(err)}
	}
	return b, nil
}

// Names gives the names of what is in a folder, links to it followed as Read would,
// in order. Of a folder that is not there the error is fs.ErrNotExist.
func (s *Scan) Names(folder string) ([]string, error) {
	r, err := s.open()
	if err != nil {
		return nil, err
	}
	defer r.close()
	fail := func(err error) ([]string, error) {
		return nil, &fs.PathError{Op: "read", Path: folder, Err: plain(err)}
	}
	at, name := r.place(folder)
	actual, err := at.resolve(name)
	if err != nil {
		return fail(err)
	}
	d, err := at.root.OpenFile(actual, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return fail(err)
	}
	defer d.Close()
	names, err := d.Readdirnames(maxExtra)
	if err != nil && !errors.Is(err, io.EOF) {
		return fail(err)
	}
	slices.Sort(names)
	return names, nil
}
