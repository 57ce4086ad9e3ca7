package payload

import (
	"archive/tar"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mholt/archives"
)

const (
	maxPath  = 4096 // bytes of a path: PATH_MAX
	maxLinks = 40   // symbolic links on the way to one file, as Linux counts
)

// names are the entries of an archive by clean path, and the folders that they
// imply.
type names map[string]entryName

// An entryName is what names has to know of an entry.
type entryName struct {
	raw    string // as the archive has it; empty for an implied folder
	dir    bool
	target string // of a symbolic link
	place  int    // in the list of files, -1 for an implied folder
}

// cleanName is the path of an entry, clean, or "." for the top folder.
func cleanName(fi archives.FileInfo) (string, error) {
	raw := fi.NameInArchive
	p, err := checkPath(raw)
	if _, isTar := fi.Header.(*tar.Header); err == nil && !isTar && strings.Contains(raw, `\`) {
		err = errors.New(`has a \, which some systems read as a folder's end`)
	}
	if err == nil && p == "." && !fi.IsDir() {
		err = errors.New("has the name of the top folder but is none")
	}
	if err != nil {
		return "", fmt.Errorf("entry %q: %w", raw, err)
	}
	return p, nil
}

// checkPath cleans a path: "./a//b/" is "a/b".
func checkPath(raw string) (string, error) {
	switch {
	case raw == "":
		return "", errors.New("has no name")
	case len(raw) > maxPath:
		return "", fmt.Errorf("path has more than %d bytes", maxPath)
	case path.IsAbs(raw):
		return "", errors.New("path is absolute")
	case slices.Contains(strings.Split(raw, "/"), ".."):
		return "", errors.New(`path has the element ".."`)
	case !utf8.ValidString(raw):
		return "", errors.New("path is not UTF-8")
	case strings.ContainsAny(raw, "\x00\n\r"):
		return "", errors.New("path has a NUL byte or a new line")
	}
	return path.Clean(raw), nil
}

// add takes the entry with the clean path p, if it gets along with those before.
func (n names) add(p string, e entryName) error {
	if old, ok := n[p]; ok {
		if old.raw != "" {
			return fmt.Errorf("entry %q: the archive has %q already", e.raw, old.raw)
		}
		if !e.dir {
			return fmt.Errorf("entry %q: is no folder, but the archive has entries below it", e.raw)
		}
	}
	n[p] = e
	for d := path.Dir(p); d != "."; d = path.Dir(d) {
		old, ok := n[d]
		if ok && !old.dir {
			return fmt.Errorf("entry %q: lies below %q, which is no folder", e.raw, old.raw)
		}
		if ok {
			return nil // and so are the folders above
		}
		n[d] = entryName{dir: true, place: -1}
	}
	return nil
}

// implied are the folders that have no entry of their own.
func (n names) implied() []string {
	var dirs []string
	for p, e := range n {
		if e.place < 0 {
			dirs = append(dirs, p)
		}
	}
	return dirs
}

// checkLinks makes sure that every symbolic link, followed through others, stays
// in the archive.
func (n names) checkLinks() error {
	var errs []error
	for p, e := range n {
		if e.target == "" {
			continue
		}
		if err := n.follow(p); err != nil {
			errs = append(errs, fmt.Errorf("entry %q: link to %q %w", e.raw, e.target, err))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	if len(errs) > 10 {
		errs = append(errs[:10], fmt.Errorf("and %d more links", len(errs)-10))
	}
	return errors.Join(errs...)
}

// follow walks to what the link p points to.
func (n names) follow(p string) error {
	at := path.Dir(p)
	left := strings.Split(n[p].target, "/")
	for links := 1; len(left) > 0; {
		name := left[0]
		left = left[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			if at == "." {
				return errors.New("leads out of the archive")
			}
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, name)
		target := n[next].target
		if target == "" {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return errors.New("leads through too many other links")
		}
		left = append(strings.Split(target, "/"), left...)
	}
	return nil
}
