package cab

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
)

// runFrames is how many frames a worker compresses one after another, with all
// that it has seen of them. What came before is entered anew for each run, so
// that runs do not depend on each other: they start at the same frames whatever
// the number of workers.
const runFrames = 15

// maxJobs is how many workers there are unless more are asked for: about as many as
// one goroutine can read and hash for.
const maxJobs = 16

// A run is a number of consecutive frames. It goes from the reader to a worker, to
// the writer, and back to the reader.
type run struct {
	plain plain
	low   int // first byte of plain that is there: windowSize in the first run
	end   int // behind the run's last byte

	data []byte // CFDATAs
	err  error
	done chan struct{} // has one element when data or err is set
}

// A pipeline compresses a folder after another, with the same buffers. One
// goroutine reads, some compress, and the caller's writes.
type pipeline struct {
	free    chan *run // runs that wait for the reader
	workers []*worker
}

// A worker compresses and verifies runs.
type worker struct {
	enc encoder
	dec inflater
	out [windowSize + frameSize + slack]byte
}

func newPipeline(o Options) *pipeline {
	if o.Jobs <= 0 {
		o.Jobs = min(runtime.GOMAXPROCS(0), maxJobs)
	}
	if o.Level == 0 {
		o.Level = DefaultLevel
	}
	// Each worker has a run in work; the reader and the writer have one each.
	p := &pipeline{free: make(chan *run, o.Jobs+2)}
	for range cap(p.free) {
		p.free <- &run{done: make(chan struct{}, 1)}
	}
	for range o.Jobs {
		p.workers = append(p.workers, &worker{enc: encoder{level: levels[o.Level]}})
	}
	return p
}

// compress reads files, whose bytes make up a folder, and gives its CFDATAs to
// write, in order.
func (p *pipeline) compress(ctx context.Context, files []File, write func([]byte) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)

	work := make(chan *run, cap(p.free))  // to the workers
	order := make(chan *run, cap(p.free)) // to the writer
	wg.Go(func() {
		defer close(order)
		defer close(work)
		err := p.read(ctx, files, func(r *run) {
			work <- r
			order <- r
		})
		if err != nil {
			cancel(err)
		}
	})
	for _, w := range p.workers {
		wg.Go(func() {
			for r := range work {
				if r.err = context.Cause(ctx); r.err == nil {
					r.err = w.run(r)
				}
				r.done <- struct{}{}
			}
		})
	}
	for r := range order {
		<-r.done
		err := r.err
		if err == nil && ctx.Err() == nil {
			err = write(r.data)
		}
		if err != nil {
			cancel(err)
		}
		p.free <- r
	}
	return context.Cause(ctx)
}

// read fills runs with the files' bytes and sends them.
func (p *pipeline) read(ctx context.Context, files []File, send func(*run)) error {
	r, err := p.next(ctx, nil)
	if err != nil {
		return err
	}
	for _, f := range files {
		body, err := f.Open()
		if err != nil {
			return fmt.Errorf("reading %q: %w", f.Name, err)
		}
		r, err = p.readFile(ctx, r, f.Size, body, send)
		if err != nil {
			body.Close() // err says what went wrong already
			return fmt.Errorf("reading %q: %w", f.Name, err)
		}
		if err := body.Close(); err != nil {
			return fmt.Errorf("reading %q: %w", f.Name, err)
		}
	}
	if r.end > windowSize {
		send(r)
	} else {
		p.free <- r
	}
	return nil
}

// readFile adds a file's bytes to r, and goes on to the next run whenever one is
// full.
func (p *pipeline) readFile(ctx context.Context, r *run, size int64, body io.Reader, send func(*run)) (*run, error) {
	for left := size; left > 0; {
		if r.end == plainSize {
			next, err := p.next(ctx, r)
			if err != nil {
				return nil, err
			}
			send(r)
			r = next
		}
		room := r.plain[r.end:plainSize]
		n, err := io.ReadFull(body, room[:min(left, int64(len(room)))])
		r.end += n
		left -= int64(n)
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return nil, fmt.Errorf("it has %d bytes and was said to have %d", size-left, size)
		case err != nil:
			return nil, err
		}
	}
	switch n, err := io.ReadFull(body, make([]byte, 1)); {
	case n > 0:
		return nil, fmt.Errorf("it has more than the %d bytes that it was said to have", size)
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	return r, nil
}

// next gives the run that follows last, or the first where last is nil.
func (p *pipeline) next(ctx context.Context, last *run) (*run, error) {
	var r *run
	select {
	case r = <-p.free:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if err := context.Cause(ctx); err != nil {
		p.free <- r
		return nil, err
	}
	r.low, r.end = windowSize, windowSize
	if last != nil {
		copy(r.plain[:windowSize], last.plain[last.end-windowSize:last.end])
		r.low = 0
	}
	return r, nil
}

// run compresses r.
func (w *worker) run(r *run) error {
	// What stands in the margin is never part of a match, but decides about hashes.
	clear(r.plain[r.end : r.end+margin])
	w.enc.prime(&r.plain, r.low, windowSize)
	r.data = r.data[:0]
	for start := windowSize; start < r.end; start += frameSize {
		end := min(start+frameSize, r.end)
		at := len(r.data)
		r.data = append(r.data, 0, 0, 0, 0, 0, 0, 0, 0, 'C', 'K')
		r.data = w.enc.frame(r.data, &r.plain, r.low, start, end)
		b := r.data[at:]
		le := binary.LittleEndian
		le.PutUint16(b[4:], uint16(len(b)-dataSize))
		le.PutUint16(b[6:], uint16(end-start))
		le.PutUint32(b, checksum(b[4:8], checksum(b[8:], 0)))
		if err := w.verify(r, start, end, b[dataSize+2:]); err != nil {
			return err
		}
	}
	return nil
}

// verify decodes data and compares it with r.plain[start:end].
func (w *worker) verify(r *run, start, end int, data []byte) error {
	// What came before is what was decoded, but for a run's first frame.
	low := 0
	if start == windowSize {
		low = r.low
		copy(w.out[:windowSize], r.plain[:windowSize])
	} else {
		copy(w.out[:windowSize], w.out[frameSize:])
	}
	n := end - start
	used, err := w.dec.inflate(w.out[low:], windowSize-low, windowSize-low+n, data)
	switch {
	case err != nil:
	case used != len(data):
		err = errTrailing
	case !bytes.Equal(w.out[windowSize:windowSize+n], r.plain[start:end]):
		err = errors.New("bytes differ")
	default:
		return nil
	}
	return fmt.Errorf("a compressed frame does not give its plain bytes back, which is a bug: %w", err)
}
