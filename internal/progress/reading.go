package progress

import (
	"io"
	"os"

	"github.com/schollz/progressbar/v3"
)

// Reading reports on f, where that is a terminal, how much of the size bytes of r
// has been read, in a piece of work that is called doing: "extracting". Close takes
// the bar away.
func Reading(f *os.File, doing string, r io.ReaderAt, size int64) (io.ReaderAt, *Progress) {
	p := New(f, size)
	if p.bar == nil {
		return r, p
	}
	p.bar.Describe(doing)
	return readerAt{r, p.bar}, p
}

type readerAt struct {
	io.ReaderAt
	bar *progressbar.ProgressBar
}

// ReadAt counts what is read anew too, which is little: headers.
func (r readerAt) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.ReaderAt.ReadAt(p, off)
	r.bar.Add(n) //nolint:errcheck // only a bar that is full gives an error
	return n, err
}

// Counting reports on f, where that is a terminal, how much of the total bytes of a
// piece of work that is called doing has been read: add is called with how many were
// read more, by any number of goroutines. Close takes the bar away.
func Counting(f *os.File, doing string, total int64) (add func(n int), p *Progress) {
	p = New(f, total)
	if p.bar == nil {
		return func(int) {}, p
	}
	p.bar.Describe(doing)
	return func(n int) { p.bar.Add(n) }, p //nolint:errcheck // only a bar that is full gives an error
}
