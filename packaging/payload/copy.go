package payload

import (
	"io"
	"sync"
)

// copySize is the size of buffers for reading and copying.
const copySize = 128 << 10

var copyBuffers = sync.Pool{New: func() any { return new([copySize]byte) }}

// copyAll is io.Copy with a buffer that others use after it: thousands of files
// are copied one after the other.
func copyAll(w io.Writer, r io.Reader) (int64, error) {
	buf := copyBuffers.Get().(*[copySize]byte) //nolint:forcetypeassert // nothing else is put there
	defer copyBuffers.Put(buf)
	return io.CopyBuffer(w, r, buf[:])
}

// onlyReader hides what else r can do, such as copying itself with a buffer of
// its own.
type onlyReader struct{ io.Reader }
