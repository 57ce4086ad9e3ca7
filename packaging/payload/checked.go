package payload

import (
	"errors"
	"io"
)

// A CheckedReader reads the content of one file, and checks it at its end.
type CheckedReader struct {
	R    io.Reader // to its end
	Sums io.Writer // gets what is read; it has no errors
	// Check is called once, at the end. Its error takes the place of io.EOF.
	Check func() error

	err error // of the last Read, and of all that follow
}

// Read reads from R.
func (c *CheckedReader) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.R.Read(p)
	c.Sums.Write(p[:n]) //nolint:errcheck // hashes have no errors
	if errors.Is(err, io.EOF) {
		if bad := c.Check(); bad != nil {
			err = bad
		}
	}
	c.err = err
	return n, err
}

// Drain reads what is left, into buf.
func (c *CheckedReader) Drain(buf []byte) error {
	for {
		if _, err := c.Read(buf); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
