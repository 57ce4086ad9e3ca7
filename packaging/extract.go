package packaging

import (
	"context"
	"io"
)

// An Extractor is a Format that gives what is in the files of a package, too.
type Extractor interface {
	// Each calls f for every entry of the payload, in the payload's order: for
	// folders, files, links and devices, not for ghosts. Paths are different from
	// each other.
	//
	// body has the content of a regular file, and is valid until f returns. Where a
	// digest of the file is wrong, it gives an error in place of io.EOF. What f
	// leaves unread is read after it, so that the same is found. body is nil for
	// everything else, for an entry with HardLink, whose file was given before, and
	// for a file whose content is not in the package file. SHA256 may not be set yet.
	//
	// What Read checks is checked, and Each returns the first error, f's own as it
	// is. Memory does not depend on the sizes of files.
	Each(ctx context.Context, r io.ReaderAt, size int64, f func(e *Entry, body io.Reader) error) error
}
