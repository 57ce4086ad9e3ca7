package deb

import (
	"context"
	"io"
)

// HasSums reports whether a package has md5sums, the only digests there are in a DEB.
func HasSums(ctx context.Context, r io.ReaderAt, size int64) (bool, error) {
	_, files, _, err := open(ctx, r, size)
	return len(files.md5s) > 0, err
}
