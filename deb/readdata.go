package deb

import (
	"archive/tar"
	"context"
	"crypto/md5" //nolint:gosec // it is what md5sums has
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/payload"
)

// lines calls f with each line of text that is not empty, and says in which one
// f found an error.
func lines(name, text string, f func(line string) error) error {
	i := 0
	for line := range strings.Lines(text) {
		i++
		if line = strings.TrimRight(line, " \t\r\n"); line == "" {
			continue
		}
		if err := f(line); err != nil {
			return fmt.Errorf("%s, line %d: %w", name, i, err)
		}
	}
	return nil
}

// parseConffiles reads a list of absolute paths. Those marked for removal, see
// deb-conffiles(5), are not in the payload.
func parseConffiles(text string) (map[string]bool, error) {
	paths := map[string]bool{}
	err := lines("conffiles", text, func(line string) error {
		if strings.HasPrefix(line, "remove-on-upgrade ") {
			return nil
		}
		if !strings.HasPrefix(line, "/") {
			return fmt.Errorf("%q is not an absolute path", line)
		}
		name, err := cleanName(line)
		paths["/"+name] = true
		return err
	})
	return paths, err
}

func parseTriggers(text string) ([]packaging.Trigger, error) {
	var ts []packaging.Trigger
	err := lines("triggers", text, func(line string) error {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
			return nil
		case len(words) != 2 || !slices.Contains(triggerKinds, words[0]):
			return fmt.Errorf("%q is not a kind of trigger and a name", line)
		}
		ts = append(ts, packaging.Trigger{Kind: words[0], On: words[1:]})
		return nil
	})
	return ts, err
}

// A dataReader collects the entries of data.tar.
type dataReader struct {
	t        *tarReader
	date     time.Time // the package's
	files    controlFiles
	layout   packaging.Layout
	byPath   map[string]int    // index in layout
	sums     map[int][16]byte  // MD5 of content that md5sums does not name, by index in layout, if there are md5sums at all
	accounts map[string]string // names of users and groups, so that each is in memory once
	implicit map[string]bool   // paths of folders that only dpkg needs
	names    int               // bytes of names and targets
	buffer   []byte
	give     func(e *packaging.Entry, body io.Reader) error // gets every entry
	refused  error                                          // what give returned
}

// readData reads the payload. Each entry goes to give, as packaging.Extractor has
// it.
func readData(ctx context.Context, m tarMember, date time.Time, files controlFiles, give func(*packaging.Entry, io.Reader) error) (packaging.Layout, error) {
	t, err := openTar(ctx, m)
	if err != nil {
		return nil, err
	}
	defer t.plain.Close()
	d := &dataReader{
		t: t, date: date, files: files,
		implicit: map[string]bool{}, accounts: map[string]string{}, sums: map[int][16]byte{},
		buffer: make([]byte, 128<<10), give: give,
	}
	// Most files are in md5sums, so that lists of their number need not grow.
	likely := min(len(files.md5s)+len(files.md5s)/8, 1<<18)
	d.byPath, d.layout = make(map[string]int, likely), make(packaging.Layout, 0, likely)
	for {
		h, name, err := t.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := d.entry(h, name); err != nil {
			if d.refused != nil {
				return nil, d.refused
			}
			return nil, t.bad(err)
		}
	}
	if err := t.end(); err != nil {
		return nil, err
	}
	if err := d.check(); err != nil {
		return nil, t.bad(err)
	}
	return d.finish(), nil
}

func (d *dataReader) entry(h *tar.Header, name string) error {
	d.names += len(name) + len(h.Linkname)
	if len(d.layout) >= maxEntries || d.names > maxNames {
		return fmt.Errorf("payload has more than %d entries or %d bytes of names", maxEntries, maxNames)
	}
	if name == "." {
		return nil
	}
	e := packaging.Entry{
		Path:  "/" + name,
		Mode:  packaging.FileMode(uint32(h.Mode & 0o7777)),
		Owner: d.account(h.Uname, h.Uid),
		Group: d.account(h.Gname, h.Gid),
	}
	if !h.ModTime.Equal(d.date) {
		e.ModTime = h.ModTime
	}
	if i, ok := d.byPath[e.Path]; ok {
		if h.Typeflag == tar.TypeDir && d.layout[i].Mode.IsDir() {
			return nil // some tools write folders twice, and dpkg does not mind
		}
		return fmt.Errorf("%s is in the payload twice", e.Path)
	}
	known := d.files.md5s.find(e.Path)
	if known != nil {
		e.Path = known.path // once in memory
	}
	if err := d.content(&e, h); err != nil {
		return fmt.Errorf("%s: %w", e.Path, err)
	}
	if e.Mode == implicitMode && !strings.HasSuffix(h.Name, "/") && e.Owner == "root" && e.Group == "root" {
		d.implicit[e.Path] = true
	}
	var sum [16]byte
	if e.HasBody() {
		if err := d.body(&e, h.Size, known, &sum); err != nil {
			return err
		}
	} else {
		if e.HardLink != "" {
			if sum = d.sums[d.byPath[e.HardLink]]; d.files.md5s.find(e.HardLink) != nil {
				sum = d.files.md5s.find(e.HardLink).sum // and it was right
			}
			if err := checkSum(known, sum); err != nil {
				return err
			}
		}
		if err := d.hand(&e, nil); err != nil {
			return err
		}
	}
	d.byPath[e.Path] = len(d.layout)
	d.layout = append(d.layout, e)
	if known == nil && len(d.files.md5s) > 0 && e.Regular() {
		d.sums[len(d.layout)-1] = sum
	}
	return nil
}

// hand gives an entry.
func (d *dataReader) hand(e *packaging.Entry, body io.Reader) error {
	d.refused = d.give(e, body)
	return d.refused
}

// account gives the name of a user or group.
func (d *dataReader) account(name string, id int) string {
	name = accountName(name, id)
	if known, ok := d.accounts[name]; ok {
		return known
	}
	if len(d.accounts) < 1000 {
		d.accounts[name] = name
	}
	return name
}

// accountName is the name, or the number where a package has none.
func accountName(name string, id int) string {
	switch {
	case name != "":
		return name
	case id == 0:
		return "root"
	}
	return strconv.Itoa(id)
}

// content sets what depends on the type of the entry.
func (d *dataReader) content(e *packaging.Entry, h *tar.Header) error {
	if d.files.conffiles[e.Path] {
		if h.Typeflag != tar.TypeReg {
			return errors.New("is a conffile and no regular file")
		}
		e.Config = packaging.ConfigNoReplace
	}
	switch h.Typeflag {
	case tar.TypeReg:
		e.Size = h.Size
	case tar.TypeLink:
		target, err := cleanName(h.Linkname)
		if err != nil {
			return err
		}
		i, ok := d.byPath["/"+target]
		if !ok || !d.layout[i].Regular() {
			return fmt.Errorf("hard link to %q, which is no earlier file", h.Linkname)
		}
		first := &d.layout[i]
		e.HardLink = orDefault(first.HardLink, first.Path)
		e.Mode, e.Owner, e.Group, e.Size, e.SHA256 = first.Mode, first.Owner, first.Group, first.Size, first.SHA256
	case tar.TypeDir:
		e.Mode |= fs.ModeDir
	case tar.TypeSymlink:
		e.Mode, e.Target = fs.ModeSymlink|0o777, h.Linkname
	case tar.TypeChar:
		e.Mode |= fs.ModeDevice | fs.ModeCharDevice
	case tar.TypeBlock:
		e.Mode |= fs.ModeDevice
	case tar.TypeFifo:
		e.Mode |= fs.ModeNamedPipe
	default:
		return fmt.Errorf("tar entry of unknown type %q", h.Typeflag)
	}
	return nil
}

// body gives a file with its content, and takes its digests. The MD5 sum, which has to
// be the known one, goes to md5Sum if the package has md5sums.
func (d *dataReader) body(e *packaging.Entry, size int64, known *fileSum, md5Sum *[16]byte) error {
	sha := sha256.New()
	w := io.Writer(sha)
	sum := md5.New() //nolint:gosec // it is what md5sums has
	if len(d.files.md5s) > 0 {
		w = io.MultiWriter(sha, sum)
	}
	n := &countingReader{r: d.t.tar}
	body := &payload.CheckedReader{R: n, Sums: w, Check: func() error {
		if n.n != size {
			return fmt.Errorf("%s has %d bytes, want %d", e.Path, n.n, size)
		}
		*md5Sum = [16]byte(sum.Sum(nil))
		return checkSum(known, *md5Sum)
	}}
	if err := d.hand(e, body); err != nil {
		return err
	}
	if err := body.Drain(d.buffer); err != nil {
		return err
	}
	e.SHA256 = packaging.Digest(sha.Sum(nil))
	return nil
}

type countingReader struct {
	r io.Reader
	n int64
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.n += int64(n)
	return n, err
}

// checkSum compares the MD5 sum of a file with what md5sums says, if it says something.
func checkSum(known *fileSum, got [16]byte) error {
	if known == nil {
		return nil
	}
	known.seen = true
	if got != known.sum {
		return fmt.Errorf("%s has the MD5 sum %x, want %x", known.path, got, known.sum)
	}
	return nil
}

// check looks for what the control archive says of files that there are none of.
func (d *dataReader) check() error {
	for _, s := range d.files.md5s {
		if !s.seen {
			return fmt.Errorf("md5sums names %s, and the payload has no such file", s.path)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.files.conffiles)) {
		if _, ok := d.byPath[name]; !ok {
			return fmt.Errorf("conffiles names %s, and the payload has no such file", name)
		}
	}
	return nil
}

// finish drops the implicit folders and sorts the layout. Of a file with several
// names, the first in that order becomes the one that has the content.
func (d *dataReader) finish() packaging.Layout {
	l := slices.DeleteFunc(d.layout, func(e packaging.Entry) bool { return d.implicit[e.Path] })
	l.Sort()
	first := map[string]string{} // the first name, by the name that had the content
	linked := map[string]bool{}
	for i := range l {
		if l[i].HardLink != "" {
			linked[l[i].HardLink] = true
		}
	}
	for i := range l {
		e := &l[i]
		file := orDefault(e.HardLink, e.Path)
		if !linked[file] {
			continue
		}
		if name, ok := first[file]; ok {
			e.HardLink = name
		} else {
			first[file] = e.Path
			e.HardLink = ""
		}
	}
	return l
}
