package payload

import (
	"compress/bzip2"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"
	"github.com/ulikunitz/xz/lzma"
)

// maxWindow is the most that a decompressor looks back, in bytes: what zstd's own
// decompressor allows, and xz -9 twice.
const maxWindow = 128 << 20

// NewReader decompresses r. Codecs are those that a Writer makes, "lzma" and
// "bzip2". It reads to the end of r, needs memory for the window that r declares,
// at most 128 MiB, and refuses a larger one. Close does not close r.
func NewReader(codec string, r io.Reader) (io.ReadCloser, error) {
	switch codec {
	case "zstd":
		d, err := zstd.NewReader(r,
			zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	case "gzip":
		return gzip.NewReader(r)
	case "xz":
		d, err := xz.NewReader(r, maxWindow)
		if err != nil {
			return nil, err
		}
		return io.NopCloser(d), nil
	case "lzma":
		d, err := lzma.ReaderConfig{DictCap: maxWindow}.NewReader(r)
		if err != nil {
			return nil, err
		}
		return io.NopCloser(d), nil
	case "bzip2":
		return io.NopCloser(bzip2.NewReader(r)), nil
	case "none":
		return io.NopCloser(r), nil
	}
	return nil, fmt.Errorf("compression %q: there are zstd, gzip, xz, lzma, bzip2 and none", codec)
}
