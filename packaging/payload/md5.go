package payload

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // DEB's md5sums
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/vpkg/vpkg/packaging"
)

// The file md5 in the store is a list of pairs: SHA-256, MD5.
const pairSize = sha256.Size + md5.Size

// maxPairs is where the list starts over.
const maxPairs = 500_000

// MD5s gives the MD5 sum of each body in l by its SHA-256, as DEB's md5sums file
// has it. The store remembers them; a body whose sum it has is not read, the
// others are, by jobs at a time; 0 means as many as there are processors.
func (s *Store) MD5s(ctx context.Context, l packaging.Layout, jobs int) (map[packaging.Digest][16]byte, error) {
	known := s.readPairs()
	sums := map[packaging.Digest][16]byte{}
	missing := map[packaging.Digest]*packaging.Entry{}
	for i := range l {
		e := &l[i]
		if !e.HasBody() {
			continue
		}
		if sum, ok := known[e.SHA256]; ok {
			sums[e.SHA256] = sum
		} else {
			missing[e.SHA256] = e
		}
	}
	if len(missing) == 0 {
		return sums, nil
	}
	entries := make([]*packaging.Entry, 0, len(missing))
	for i := range l { // in order, so that the error is the same each time
		if e := &l[i]; missing[e.SHA256] == e {
			entries = append(entries, e)
		}
	}
	var mu sync.Mutex
	err := parallelErr(ctx, len(entries), jobs, func(i int) error {
		sum, err := md5Of(entries[i])
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		sums[entries[i].SHA256] = sum
		return nil
	})
	if err != nil {
		return nil, err
	}
	return sums, s.writePairs(known, sums)
}

// md5Of reads e, making sure that it is what e says.
func md5Of(e *packaging.Entry) (sum [16]byte, err error) {
	r, err := openBody(e)
	if err != nil {
		return sum, err
	}
	defer r.Close()
	m, h := md5.New(), sha256.New() //nolint:gosec // DEB's md5sums
	n, err := copyAll(io.MultiWriter(m, h), io.LimitReader(r, e.Size))
	if err == nil && n < e.Size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return sum, readError(e, err)
	}
	if err := atEnd(e, r, packaging.Digest(h.Sum(nil))); err != nil {
		return sum, err
	}
	return [16]byte(m.Sum(nil)), nil
}

func (s *Store) readPairs() map[packaging.Digest][16]byte {
	b, _ := os.ReadFile(filepath.Join(s.dir, "md5")) // without it all are computed
	pairs := make(map[packaging.Digest][16]byte, len(b)/pairSize)
	if len(b) > maxPairs*pairSize {
		return pairs
	}
	for ; len(b) >= pairSize; b = b[pairSize:] {
		pairs[packaging.Digest(b[:sha256.Size])] = [16]byte(b[sha256.Size:pairSize])
	}
	return pairs
}

// writePairs replaces the list by a and b. What another process adds at the same
// time may be lost, and is then computed again.
func (s *Store) writePairs(a, b map[packaging.Digest][16]byte) error {
	var buf bytes.Buffer
	for k, v := range a {
		buf.Write(k[:])
		buf.Write(v[:])
	}
	for k, v := range b {
		if _, ok := a[k]; !ok {
			buf.Write(k[:])
			buf.Write(v[:])
		}
	}
	file, err := s.temp()
	if err != nil {
		return err
	}
	_, err = buf.WriteTo(file)
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), filepath.Join(s.dir, "md5"))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("frame store: %w", err), os.Remove(file.Name()))
	}
	return nil
}
