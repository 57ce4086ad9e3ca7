package payload

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"runtime"
	"sync"

	"github.com/vpkg/vpkg/packaging"
)

// A Writer makes a payload: a format writes its headers with Write and the
// content of files with Body, and Close gives the result. It is used by one
// goroutine.
type Writer struct {
	s    *Store
	c    codec
	stop func() bool  // ends the watch over the context
	done func() error // why the context is done, or nil: its watch may come late

	frames []*frame
	made   map[packaging.Digest]*frame // frames of bodies that this Writer makes
	body   *pending                    // the last one that was read
	packed []byte                      // headers and small bodies that make the next frame
	small  []byte                      // a small body while it is read

	size  int64     // plain bytes
	plain hash.Hash // of the plain bytes; nil from the first body on that is not read

	jobs    chan job
	buffers chan []byte // nil stands for one that is not yet taken from the store
	workers sync.WaitGroup

	failed     chan struct{} // closed after err is set
	mu         sync.Mutex
	err        error
	compressed int
	closed     bool
}

// A job is a frame to be made.
type job struct {
	f     *frame
	plain []byte
	body  *pending // nil for a packed frame
}

// A pending body's frames are published when all of it was read and its digest
// is the right one.
type pending struct {
	mu    sync.Mutex
	right bool
	made  []madeFrame
}

type madeFrame struct {
	temp string
	key  packaging.Digest
}

// NewWriter returns a Writer of a payload compressed as c says, by jobs frames at
// a time; 0 means as many as there are processors. c must name a codec. The
// Writer fails when ctx is done. It has to be closed or aborted.
func (s *Store) NewWriter(ctx context.Context, c packaging.Compression, jobs int) (*Writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	co, err := findCodec(c)
	if err != nil {
		return nil, err
	}
	if jobs <= 0 {
		jobs = runtime.GOMAXPROCS(0)
	}
	w := &Writer{
		s: s, c: co,
		made:    map[packaging.Digest]*frame{},
		plain:   sha256.New(),
		jobs:    make(chan job),
		buffers: make(chan []byte, max(jobs, 2)),
		failed:  make(chan struct{}),
	}
	for range cap(w.buffers) { // filling one keeps a processor as busy as compressing it
		w.buffers <- nil
	}
	for range jobs {
		w.workers.Go(w.work)
	}
	w.done = ctx.Err
	w.stop = context.AfterFunc(ctx, func() { w.fail(ctx.Err()) })
	return w, nil
}

// Write adds headers and padding to the payload.
func (w *Writer) Write(p []byte) (int, error) {
	if err := w.Err(); err != nil { // what follows may choose to go on
		return 0, err
	}
	n := 0
	for n < len(p) {
		if w.packed == nil {
			b, err := w.buffer()
			if err != nil {
				return n, err
			}
			w.packed = b[:0]
		}
		m := min(len(p)-n, frameSize-len(w.packed))
		w.packed = append(w.packed, p[n:n+m]...)
		n += m
		if len(w.packed) == frameSize {
			if err := w.flush(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// flush makes a frame of what is packed.
func (w *Writer) flush() error {
	if len(w.packed) == 0 {
		return nil
	}
	b := w.packed
	w.packed = nil
	w.size += int64(len(b))
	if w.plain != nil {
		w.plain.Write(b)
	}
	if len(b) <= storedSize {
		w.frames = append(w.frames, newStoredFrame(&w.c, b))
		w.buffers <- b
		return nil
	}
	f := new(frame)
	w.frames = append(w.frames, f)
	return w.send(job{f: f, plain: b})
}

// Body adds the content of e. It is an error if that is not what e's Size and
// SHA256 say. A body whose frames are all in the store is not read.
func (w *Writer) Body(e *packaging.Entry) error {
	if err := w.Err(); err != nil {
		return err
	}
	var err error
	if e.Size < ownFrames {
		err = w.smallBody(e)
	} else {
		err = w.largeBody(e)
	}
	if err != nil {
		w.fail(err)
	}
	return err
}

func (w *Writer) smallBody(e *packaging.Entry) error {
	if e.Size == 0 {
		return nil
	}
	if w.small == nil {
		w.small = make([]byte, ownFrames)
	}
	r, err := openBody(e)
	if err != nil {
		return err
	}
	defer r.Close()
	b := w.small[:e.Size]
	if _, err := io.ReadFull(r, b); err != nil {
		return readError(e, err)
	}
	if err := atEnd(e, r, sha256.Sum256(b)); err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

func (w *Writer) largeBody(e *packaging.Entry) error {
	if e.SHA256.IsZero() {
		return fmt.Errorf("%s has no digest", e.Path)
	}
	if err := w.flush(); err != nil {
		return err
	}
	n, each := cut(e.Size)
	keys := make([]packaging.Digest, n)
	found := make([]*frame, n)
	for i := range n {
		offset := int64(i) * each
		keys[i] = bodyKey(&w.c, e.SHA256, offset, min(each, e.Size-offset))
		found[i] = w.made[keys[i]]
	}
	parallel(n, cap(w.buffers), func(i int) {
		if found[i] == nil {
			found[i], _ = w.s.lookup(keys[i])
		}
	})
	missing := make(map[int]*frame, n)
	for i, f := range found {
		if f == nil {
			f = &frame{key: keys[i]}
			missing[i] = f
			w.made[keys[i]] = f
		}
		w.frames = append(w.frames, f)
	}
	w.size += e.Size
	if len(missing) == 0 {
		w.plain = nil
		return nil
	}
	return w.readBody(e, n, each, missing)
}

// readBody reads e in n pieces of each bytes, and sends the missing frames to
// the workers.
func (w *Writer) readBody(e *packaging.Entry, n int, each int64, missing map[int]*frame) error {
	r, err := openBody(e)
	if err != nil {
		return err
	}
	defer r.Close()
	w.body = new(pending)
	h := sha256.New()
	left := e.Size
	for i := range n {
		b, err := w.buffer()
		if err != nil {
			return err
		}
		b = b[:min(left, each)]
		if _, err := io.ReadFull(r, b); err != nil {
			w.buffers <- b
			return readError(e, err)
		}
		left -= int64(len(b))
		h.Write(b)
		if w.plain != nil {
			w.plain.Write(b)
		}
		f := missing[i]
		if f == nil {
			w.buffers <- b
			continue
		}
		if err := w.send(job{f, b, w.body}); err != nil {
			return err
		}
	}
	if err := atEnd(e, r, packaging.Digest(h.Sum(nil))); err != nil {
		return err
	}
	if err := w.done(); err != nil {
		return err
	}
	return w.body.publish(w.s)
}

func openBody(e *packaging.Entry) (io.ReadCloser, error) {
	if e.Body == nil {
		return nil, fmt.Errorf("%s has no content", e.Path)
	}
	r, err := e.Body.Open()
	if err != nil {
		return nil, readError(e, err)
	}
	return r, nil
}

// errChanged is the cause of errors about a file that is not what it was when
// it was scanned.
var errChanged = errors.New("changed while it was read")

func readError(e *packaging.Entry, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%s %w: it has less than %d bytes", e.Path, errChanged, e.Size)
	}
	return fmt.Errorf("reading %s: %w", e.Path, err)
}

// atEnd checks that r, from which a body with the digest got was read, has no
// more bytes and that they are the right ones.
func atEnd(e *packaging.Entry, r io.Reader, got packaging.Digest) error {
	switch n, err := io.ReadFull(r, make([]byte, 1)); {
	case n > 0:
		return fmt.Errorf("%s %w: it has more than %d bytes", e.Path, errChanged, e.Size)
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("reading %s: %w", e.Path, err)
	case got != e.SHA256:
		return fmt.Errorf("%s %w: its SHA-256 is %s, want %s", e.Path, errChanged, got, e.SHA256)
	}
	return nil
}

// Close makes the last frame and returns the payload.
func (w *Writer) Close() (*Encoded, error) {
	if err := w.flush(); err != nil {
		w.Abort()
		return nil, err
	}
	if len(w.frames) == 0 { // no bytes at all are not a valid payload
		w.frames = append(w.frames, newStoredFrame(&w.c, nil))
	}
	w.end()
	if err := w.Err(); err != nil {
		return nil, err
	}
	e, err := newEncoded(w)
	w.fail(errClosed)
	return e, err
}

// Abort ends the Writer and drops what it made, as far as it is not known to be
// right. After Close it does nothing.
func (w *Writer) Abort() {
	w.fail(errClosed)
	w.end()
}

var errClosed = errors.New("payload writer is closed")

// end waits for the workers and gives everything back.
func (w *Writer) end() {
	if w.closed {
		return
	}
	w.closed = true
	w.stop()
	close(w.jobs)
	w.workers.Wait()
	if w.body != nil {
		w.body.drop()
	}
	if w.packed != nil {
		w.buffers <- w.packed
		w.packed = nil
	}
	close(w.buffers)
	for b := range w.buffers {
		if b != nil {
			w.s.putBuffer(b[:frameSize])
		}
	}
}

// Err is the error that ended the Writer, or nil.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

func (w *Writer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
		close(w.failed)
	}
}

// buffer waits for a buffer of frameSize.
func (w *Writer) buffer() ([]byte, error) {
	select {
	case <-w.failed:
		return nil, w.Err()
	case b := <-w.buffers:
		if b == nil {
			b = w.s.getBuffer()
		}
		return b[:frameSize], nil
	}
}

func (w *Writer) send(j job) error {
	select {
	case <-w.failed:
		w.buffers <- j.plain
		return w.Err()
	case w.jobs <- j:
		return nil
	}
}

// work makes frames until there are no more.
func (w *Writer) work() {
	var e encoder // needed only for frames that are not in the store
	for j := range w.jobs {
		if w.Err() == nil {
			if err := w.makeFrame(&e, j); err != nil {
				w.fail(err)
			}
		}
		w.buffers <- j.plain
	}
	if e != nil {
		w.s.putEncoder(&w.c, e)
	}
}

func (w *Writer) makeFrame(e *encoder, j job) (err error) {
	if j.body == nil {
		key := packedKey(&w.c, j.plain)
		if f, ok := w.s.lookup(key); ok {
			*j.f = *f
			return nil
		}
		j.f.key = key
	}
	if *e == nil {
		if *e, err = w.s.getEncoder(&w.c); err != nil {
			return err
		}
	}
	temp, err := j.f.make(w.s, *e, j.plain)
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.compressed++
	w.mu.Unlock()
	if j.body == nil {
		return w.s.publish(temp, "frames", j.f.key)
	}
	j.body.mu.Lock()
	defer j.body.mu.Unlock()
	if j.body.right {
		return w.s.publish(temp, "frames", j.f.key)
	}
	j.body.made = append(j.body.made, madeFrame{temp, j.f.key})
	return nil
}

// publish says that the body is right, and publishes those of its frames that
// are made; the others follow as they are made.
func (b *pending) publish(s *Store) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.right = true
	for len(b.made) > 0 {
		if err := s.publish(b.made[0].temp, "frames", b.made[0].key); err != nil {
			return err
		}
		b.made = b.made[1:]
	}
	return nil
}

// drop removes the frames of a body that is wrong.
func (b *pending) drop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.made {
		_ = os.Remove(m.temp) // the next OpenStore but a few would
	}
	b.made = nil
}
