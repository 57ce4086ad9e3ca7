package payload

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// A spool is a temporary file that nobody else needs to find.
type spool struct{ *os.File }

func newSpool(dir string) (*spool, error) {
	f, err := os.CreateTemp(dir, "vpkg-spool-*")
	if err != nil {
		return nil, fmt.Errorf("making a spool file: %w", err)
	}
	_ = os.Remove(f.Name()) // where a name is needed while it is open, Close removes it
	return &spool{f}, nil
}

// Close gives the space back.
func (s *spool) Close() error {
	err := s.File.Close()
	if e := os.Remove(s.Name()); !errors.Is(e, fs.ErrNotExist) {
		err = errors.Join(err, e)
	}
	return err
}

// A spoolBody is a part of a spool.
type spoolBody struct {
	f      *os.File
	offset int64
	size   int64
}

// Open gives the part.
func (b spoolBody) Open() (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(b.f, b.offset, b.size)), nil
}
