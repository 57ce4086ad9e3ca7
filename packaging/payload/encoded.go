package payload

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/vpkg/vpkg/packaging"
)

// An Encoded is a payload that was made: a list of frames in its Store. It can be
// written any number of times, as long as the Store is open.
type Encoded struct {
	Size        int64            // bytes that WriteTo writes
	PlainSize   int64            // bytes before compression
	SHA256      packaging.Digest // of what WriteTo writes
	PlainSHA256 packaging.Digest // of the bytes before compression
	Frames      int              // how many frames there are
	Compressed  int              // how many of them were not in the store

	s        *Store
	c        codec
	frames   []*frame
	tail     []byte
	list     packaging.Digest // names this list of frames
	verified bool
}

// facts are what the store remembers of a list of frames.
type facts struct {
	SHA256      string `json:"sha256"`
	PlainSHA256 string `json:"plainSHA256"`
	Verified    bool   `json:"verified,omitempty"`
}

func newEncoded(w *Writer) (*Encoded, error) {
	e := &Encoded{
		PlainSize: w.size, Frames: len(w.frames), Compressed: w.compressed,
		s: w.s, c: w.c, frames: w.frames,
	}
	if w.c.tail != nil {
		var err error
		if e.tail, err = w.c.tail(w.frames); err != nil {
			return nil, err
		}
	}
	e.Size = int64(len(w.c.head) + len(e.tail))
	list := sha256.New()
	fmt.Fprintf(list, "list\x00%s\x00", w.c.name)
	for _, f := range w.frames {
		e.Size += f.size
		list.Write(f.id[:])
	}
	e.list = packaging.Digest(list.Sum(nil))
	if e.recall() {
		return e, nil
	}
	if w.plain != nil {
		e.PlainSHA256 = packaging.Digest(w.plain.Sum(nil))
	}
	return e, e.hash()
}

// recall looks up what is known of the list.
func (e *Encoded) recall() bool {
	path := e.s.path("lists", e.list)
	b, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	var f facts
	if json.Unmarshal(b, &f) != nil {
		return false
	}
	sum, err1 := packaging.ParseDigest(f.SHA256)
	plain, err2 := packaging.ParseDigest(f.PlainSHA256)
	if err1 != nil || err2 != nil {
		return false
	}
	e.SHA256, e.PlainSHA256, e.verified = sum, plain, f.Verified
	now := time.Now()
	_ = os.Chtimes(path, now, now) // without it the list is only evicted sooner
	return true
}

// hash reads the frames for the digests that are not known, and remembers them.
func (e *Encoded) hash() error {
	r := e.reader()
	defer r.Close()
	h := sha256.New()
	if e.PlainSHA256.IsZero() {
		plain := sha256.New()
		d, err := NewReader(e.c.name, io.TeeReader(r, h))
		if err != nil {
			return fmt.Errorf("reading back the payload: %w", err)
		}
		n, err := copyAll(plain, onlyReader{d})
		if err := errors.Join(err, d.Close()); err != nil {
			return fmt.Errorf("reading back the payload: %w", err)
		}
		if n != e.PlainSize {
			return fmt.Errorf("reading back the payload: it has %d bytes, want %d", n, e.PlainSize)
		}
		e.PlainSHA256 = packaging.Digest(plain.Sum(nil))
	}
	if _, err := r.WriteTo(h); err != nil {
		return err
	}
	e.SHA256 = packaging.Digest(h.Sum(nil))
	return e.remember()
}

func (e *Encoded) remember() error {
	b, err := json.Marshal(facts{e.SHA256.String(), e.PlainSHA256.String(), e.verified})
	if err != nil {
		return err
	}
	file, err := e.s.temp()
	if err != nil {
		return err
	}
	_, err = file.Write(b)
	if err := errors.Join(err, file.Close()); err != nil {
		return errors.Join(fmt.Errorf("frame store: %w", err), os.Remove(file.Name()))
	}
	return e.s.publish(file.Name(), "lists", e.list)
}

// Verified reports whether this very payload was read back before: see Confirm.
func (e *Encoded) Verified() bool { return e.verified }

// Confirm remembers that the payload was read back and is right.
func (e *Encoded) Confirm() error {
	e.verified = true
	return e.remember()
}

// WriteTo writes the payload.
func (e *Encoded) WriteTo(w io.Writer) (int64, error) {
	r := e.reader()
	defer r.Close()
	return r.WriteTo(w)
}

func (e *Encoded) reader() *frameReader {
	return &frameReader{e: e, part: bytes.NewReader(e.c.head), left: e.frames}
}

// A frameReader reads an Encoded.
type frameReader struct {
	e    *Encoded
	part io.Reader // the head, a frame, or the tail
	file *os.File  // part's, or nil
	left []*frame  // after part
	last bool      // part is the tail
}

func (r *frameReader) Read(p []byte) (int, error) {
	for {
		n, err := r.part.Read(p)
		if n > 0 || !errors.Is(err, io.EOF) {
			return n, err
		}
		if err := r.next(); err != nil {
			return 0, err
		}
	}
}

// WriteTo copies the rest to w, from file to file where the system can.
func (r *frameReader) WriteTo(w io.Writer) (n int64, err error) {
	for {
		m, err := copyAll(w, r.part)
		n += m
		if err != nil {
			return n, err
		}
		if err := r.next(); errors.Is(err, io.EOF) {
			return n, nil
		} else if err != nil {
			return n, err
		}
	}
}

// next goes on to the next part; io.EOF means that there is none.
func (r *frameReader) next() error {
	if err := r.Close(); err != nil {
		return err
	}
	switch {
	case r.last:
		return io.EOF
	case len(r.left) == 0:
		r.last = true
		r.part = bytes.NewReader(r.e.tail)
		return nil
	}
	f := r.left[0]
	r.left = r.left[1:]
	if f.stored != nil {
		r.part = bytes.NewReader(f.stored)
		return nil
	}
	var err error
	if r.file, err = f.open(r.e.s); err != nil {
		return err
	}
	r.part = io.LimitReader(r.file, f.size)
	return nil
}

// Close closes the file that is open.
func (r *frameReader) Close() error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	return err
}
