package rpm

import "io"

// A readAhead reads ahead of whoever reads from it, in a goroutine of its own, so
// that decompressing and hashing go on at the same time.
type readAhead struct {
	full chan chunk
	free chan []byte   // buffers to fill
	quit chan struct{} // closed by Close
	done chan struct{} // closed when the goroutine has ended

	chunk        // what is being read
	buf   []byte // all of its buffer
}

// A chunk is what one Read gave.
type chunk struct {
	p   []byte
	err error // after p
}

// newReadAhead starts to read from r. Close has to be called.
func newReadAhead(r io.Reader) *readAhead {
	const buffers, size = 4, 128 << 10
	a := &readAhead{
		full: make(chan chunk, buffers), free: make(chan []byte, buffers),
		quit: make(chan struct{}), done: make(chan struct{}),
	}
	for range buffers {
		a.free <- make([]byte, size)
	}
	go a.fill(r)
	return a
}

func (a *readAhead) fill(r io.Reader) {
	defer close(a.done)
	for {
		var b []byte
		select {
		case b = <-a.free:
		case <-a.quit:
			return
		}
		n, err := r.Read(b)
		a.full <- chunk{b[:n], err} // has room for all buffers
		if err != nil {
			return
		}
	}
}

// Read gives what was read.
func (a *readAhead) Read(p []byte) (int, error) {
	for len(a.p) == 0 {
		if a.err != nil {
			return 0, a.err
		}
		if a.buf != nil {
			a.free <- a.buf
		}
		a.chunk = <-a.full
		a.buf = a.p[:cap(a.p)]
	}
	n := copy(p, a.p)
	a.p = a.p[n:]
	return n, nil
}

// Close ends the reading. Nothing reads from r after it.
func (a *readAhead) Close() {
	close(a.quit)
	<-a.done
}
