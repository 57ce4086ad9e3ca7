package payload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/mholt/archives"
)

// compressions are those that a tar may have. Each is recognised by its first
// bytes; zlib's are a guess, so it comes last. Brotli has none: its name decides.
var compressions = []archives.Compression{
	archives.Gz{},
	archives.Zstd{DecoderOptions: []zstd.DOption{zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow)}},
	archives.Xz{},
	archives.Bz2{},
	archives.Lz4{},
	archives.Lzip{},
	archives.Sz{},
	archives.MinLZ{},
	archives.Brotli{},
	archives.Zlib{},
}

// identify finds out what kind of archive file is, and leaves it at its start. A
// compressed one may have most bytes after decompression.
// The library's own Identify asks the formats in random order, and trusts a name
// as much as the content.
func identify(ctx context.Context, file *os.File, most int64) (archives.Extractor, error) {
	matches := func(f archives.Format, name string) bool {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return false
		}
		if name != "" {
			m, err := f.Match(ctx, name, nil)
			return err == nil && m.ByName
		}
		m, err := f.Match(ctx, "", file)
		return err == nil && m.ByStream
	}
	for _, f := range []archives.Extraction{archives.Zip{}, archives.SevenZip{}, archives.Rar{}, archives.Tar{}} {
		if matches(f, "") {
			_, err := file.Seek(0, io.SeekStart)
			return f, err
		}
	}
	for _, c := range compressions {
		name := ""
		if _, ok := c.(archives.Brotli); ok {
			if name = file.Name(); !strings.HasSuffix(name, ".br") {
				continue
			}
		}
		if !matches(c, name) {
			continue
		}
		if err := holdsTar(ctx, file, c); err != nil {
			return nil, fmt.Errorf("%s file holds no tar archive: %w", c.Extension(), err)
		}
		_, err := file.Seek(0, io.SeekStart)
		return archives.CompressedArchive{Extraction: archives.Tar{}, Compression: limited{c, most}}, err
	}
	return nil, errors.New("is no archive: there are tar (with any compression), zip, 7z and rar")
}

// holdsTar returns an error unless file, decompressed, begins like a tar.
func holdsTar(ctx context.Context, file *os.File, c archives.Compression) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("damaged file: %v", p)
		}
	}()
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	r, err := c.OpenReader(file)
	if err != nil {
		return err
	}
	defer r.Close()
	m, err := archives.Tar{}.Match(ctx, "", r)
	if err != nil {
		return err
	}
	if !m.ByStream {
		return errors.New("no header of a tar entry at its start")
	}
	return nil
}

// limited is a compression that does not go on forever.
type limited struct {
	archives.Compression
	most int64 // bytes
}

// OpenReader decompresses r.
func (l limited) OpenReader(r io.Reader) (io.ReadCloser, error) {
	d, err := l.Compression.OpenReader(r)
	if err != nil {
		return nil, err
	}
	return &limitedReader{d, l.most}, nil
}

type limitedReader struct {
	io.ReadCloser
	left int64
}

// Read fails where io.LimitedReader would pretend that r ends.
func (r *limitedReader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, errors.New("the archive has too many bytes when it is decompressed")
	}
	n, err := r.ReadCloser.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	return n, err
}
