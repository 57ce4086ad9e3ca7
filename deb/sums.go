package deb

import (
	"context"
	"io"

	"github.com/vpkg/vpkg/packaging"
)

// Summed gives how many of the files in the package's layout md5sums names, which has
// the only digests there are in a DEB, and the paths of the others. Conffiles are not
// among these: dh_md5sums leaves them out, because they are changed on hosts.
func Summed(ctx context.Context, r io.ReaderAt, size int64, l packaging.Layout) (named int, others []string, err error) {
	_, files, _, err := open(ctx, r, size)
	if err != nil {
		return 0, nil, err
	}
	for i := range l {
		switch e := &l[i]; {
		case !e.Regular():
		case files.md5s.find(e.Path) != nil:
			named++
		case !files.conffiles[e.Path]:
			others = append(others, e.Path)
		}
	}
	return named, others, nil
}
