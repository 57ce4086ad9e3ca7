package deb

import (
	"bufio"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// fileSums are the MD5 sums that a package has of its files, sorted by path. A package
// may have a hundred thousand of them.
type fileSums []fileSum

type fileSum struct {
	path string // absolute
	sum  [16]byte
	seen bool // there is such a file
}

// readMD5Sums reads the output of md5sum(1) with paths relative to the root. Of two
// sums of one file, the last counts.
func readMD5Sums(r io.Reader) (fileSums, error) {
	var sums fileSums
	in := bufio.NewReaderSize(r, 64<<10)
	var names strings.Builder // of some files, so that none takes more than it needs
	total := 0
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("md5sums, line %d: %w", n, err)
		}
		end := err != nil
		if line := strings.TrimRight(string(line), " \t\r\n"); line != "" {
			var s fileSum
			if s, err = parseMD5Sum(line); err != nil {
				return nil, fmt.Errorf("md5sums, line %d: %w", n, err)
			}
			if total += len(s.path); total > maxNames || len(sums) == maxEntries {
				return nil, fmt.Errorf("md5sums, line %d: more than %d files or %d bytes of names", n, maxEntries, maxNames)
			}
			if names.Cap()-names.Len() < len(s.path) {
				names = strings.Builder{}
				names.Grow(max(16<<10, len(s.path)))
			}
			start := names.Len()
			names.WriteString(s.path)
			s.path = names.String()[start:]
			sums = append(sums, s)
		}
		if end {
			break
		}
	}
	slices.SortStableFunc(sums, func(a, b fileSum) int { return cmp.Compare(a.path, b.path) })
	last := sums[:0]
	for i, s := range sums {
		if i+1 == len(sums) || sums[i+1].path != s.path {
			last = append(last, s)
		}
	}
	return last, nil
}

func parseMD5Sum(line string) (fileSum, error) {
	var s fileSum
	digits, name, ok := strings.Cut(line, " ")
	if !ok || len(digits) != 2*len(s.sum) {
		return s, fmt.Errorf("%q is not a sum and a name", line)
	}
	if _, err := hex.Decode(s.sum[:], []byte(digits)); err != nil {
		return s, fmt.Errorf("sum %q: %w", digits, err)
	}
	name, err := cleanName(strings.TrimLeft(name, " *")) // * marks binary mode
	s.path = "/" + name
	return s, err
}

// find gives the sum of a file; nil if there is none.
func (s fileSums) find(path string) *fileSum {
	i, ok := slices.BinarySearchFunc(s, path, func(a fileSum, p string) int { return cmp.Compare(a.path, p) })
	if !ok {
		return nil
	}
	return &s[i]
}
