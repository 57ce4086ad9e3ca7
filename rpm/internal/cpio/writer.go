package cpio

import (
	"encoding/hex"
	"fmt"
	"io"
)

// A Writer writes an archive. The bodies need not pass through it: whoever writes
// one to the same place says so with Skip.
type Writer struct {
	w      io.Writer
	offset int64 // bytes written so far
	body   int64 // bytes of the current body that are still to come
	buf    []byte
}

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// WriteHeader starts the next entry.
func (w *Writer) WriteHeader(h *Header) error {
	if w.body != 0 {
		return fmt.Errorf("%s: %d bytes of the body before it are missing", h.Name, w.body)
	}
	w.buf = append(w.buf[:0], zeros[:padding(w.offset)]...)
	if h.Stripped {
		w.buf = appendHex(append(w.buf, magicStripped...), h.Index)
	} else {
		if h.Size >= MaxSize {
			return fmt.Errorf("%s: %d bytes do not fit a cpio header", h.Name, h.Size)
		}
		w.buf = appendHeader(w.buf, h)
	}
	w.buf = append(w.buf, zeros[:padding(w.offset+int64(len(w.buf)))]...)
	w.body = h.Size
	return w.flush()
}

// Write writes bytes of the current body.
func (w *Writer) Write(p []byte) (int, error) {
	if int64(len(p)) > w.body {
		return 0, fmt.Errorf("body has %d bytes too many", int64(len(p))-w.body)
	}
	n, err := w.w.Write(p)
	w.Skip(int64(n))
	return n, err
}

// Skip says that n bytes of the current body were written to the underlying
// writer.
func (w *Writer) Skip(n int64) {
	w.offset += n
	w.body -= n
}

// Close writes the trailer. It does not close the underlying writer.
func (w *Writer) Close() error { return w.WriteHeader(&Header{Name: trailer, Links: 1}) }

func (w *Writer) flush() error {
	n, err := w.w.Write(w.buf)
	w.offset += int64(n)
	return err
}

var zeros [4]byte

func appendHeader(b []byte, h *Header) []byte {
	b = append(b, magicNew...)
	for _, n := range [...]uint32{
		h.Inode, h.Mode, 0, 0, h.Links, h.MTime, uint32(h.Size), // fits: see WriteHeader
		0, 0, 0, 0, uint32(len(h.Name) + 1), 0,
	} {
		b = appendHex(b, n)
	}
	return append(append(b, h.Name...), 0)
}

func appendHex(b []byte, n uint32) []byte {
	return hex.AppendEncode(b, []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}
