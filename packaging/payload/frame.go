package payload

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"time"

	"github.com/vpkg/vpkg/packaging"
)

// A frame in the store is a file: the compressed bytes, and a trailer that makes
// sure of them.
//
//	 0   8  "vpkgfrm1"
//	 8   8  plain bytes, big endian
//	16  32  key, so that a file under another's name is noticed
//	48  32  SHA-256 of everything before
const (
	trailerMagic = "vpkgfrm1"
	trailerSize  = 80
)

// frameHead is how much of each frame is remembered, for the index of xz.
const frameHead = 20

// A frame is a part of a payload. Its fields are known when its Writer is closed,
// or when lookup has found it.
type frame struct {
	key    packaging.Digest // zero for a stored frame
	id     packaging.Digest // of the compressed bytes, plain and key
	plain  int64            // bytes before compression
	size   int64            // bytes after it
	head   [frameHead]byte  // the first bytes, after compression
	stored []byte           // the whole of a frame that is not in the store
}

func newStoredFrame(c *codec, plain []byte) *frame {
	f := &frame{plain: int64(len(plain)), stored: c.stored([]byte{}, plain)}
	f.size = int64(len(f.stored))
	f.id = sha256.Sum256(f.stored)
	copy(f.head[:], f.stored)
	return f
}

// trailer is what follows the compressed bytes, as far as it is hashed with them.
func (f *frame) trailer() []byte {
	b := append(make([]byte, 0, trailerSize), trailerMagic...)
	b = binary.BigEndian.AppendUint64(b, uint64(f.plain))
	return append(b, f.key[:]...)
}

// open gives the compressed bytes.
func (f *frame) open(s *Store) (*os.File, error) {
	file, err := os.Open(s.path("frames", f.key))
	if err != nil {
		return nil, fmt.Errorf("frame store: %w", err)
	}
	if fi, err := file.Stat(); err != nil || fi.Size() != f.size+trailerSize {
		return nil, errors.Join(fmt.Errorf("frame store: %s changed while it was in use", file.Name()), err, file.Close())
	}
	return file, nil
}

// lookup finds a frame and checks every byte of it. A frame that is not what it
// was when it was made is as good as none: it is made again, and replaced.
func (s *Store) lookup(key packaging.Digest) (*frame, bool) {
	path := s.path("frames", key)
	file, err := os.Open(path)
	if err != nil {
		return nil, false
	}
	defer file.Close()
	fi, err := file.Stat()
	if err != nil || fi.Size() < trailerSize {
		return nil, false
	}
	f := &frame{key: key, size: fi.Size() - trailerSize}
	var trailer [trailerSize]byte
	if _, err := file.ReadAt(trailer[:], f.size); err != nil {
		return nil, false
	}
	f.plain = int64(binary.BigEndian.Uint64(trailer[8:]))
	if f.plain < 0 || f.plain > frameSize || string(trailer[:48]) != string(f.trailer()) {
		return nil, false
	}
	if _, err := file.ReadAt(f.head[:], 0); err != nil {
		return nil, false
	}
	h := sha256.New()
	if n, err := copyAll(h, io.LimitReader(file, f.size+48)); err != nil || n != f.size+48 {
		return nil, false
	}
	f.id = packaging.Digest(h.Sum(nil))
	if string(f.id[:]) != string(trailer[48:]) {
		return nil, false
	}
	if now := time.Now(); now.Sub(fi.ModTime()) > time.Hour { // eviction is no more precise than this
		_ = os.Chtimes(path, now, now) // without it the frame is only evicted sooner
	}
	return f, true
}

// make compresses plain into a temporary file, and returns its name.
func (f *frame) make(s *Store, e encoder, plain []byte) (name string, err error) {
	file, err := s.temp()
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("frame store: %w", err), os.Remove(file.Name()))
		}
	}()
	w := &frameWriter{f: f, w: file, h: sha256.New()}
	b := bufio.NewWriterSize(w, copySize)
	if err := e.encode(b, plain); err != nil {
		file.Close() // err says what went wrong already
		return "", err
	}
	if err := b.Flush(); err != nil {
		file.Close() // err says what went wrong already
		return "", err
	}
	f.plain = int64(len(plain))
	t := f.trailer()
	w.h.Write(t)
	f.id = packaging.Digest(w.h.Sum(nil))
	if _, err := file.Write(append(t, f.id[:]...)); err != nil {
		file.Close() // err says what went wrong already
		return "", err
	}
	return file.Name(), file.Close()
}

// A frameWriter writes compressed bytes and notes what a frame has to know of
// them.
type frameWriter struct {
	f *frame
	w io.Writer
	h hash.Hash
}

func (w *frameWriter) Write(p []byte) (int, error) {
	if w.f.size < frameHead {
		copy(w.f.head[w.f.size:], p)
	}
	w.h.Write(p)
	n, err := w.w.Write(p)
	w.f.size += int64(n)
	return n, err
}
