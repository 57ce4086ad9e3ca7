// Package progress shows a person how far a long piece of work is: a bar on a
// terminal, plain lines elsewhere, so that a pipeline's log stays readable.
package progress

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/vpkg/vpkg/packaging"
)

// A Progress reports the work of one command. Its methods may be called by
// several goroutines. The zero value and nil report nothing.
type Progress struct {
	w   io.Writer
	bar *progressbar.ProgressBar // nil where w is no terminal
	mu  sync.Mutex
}

// New reports on f, usually standard error, the progress of work that reads total
// bytes.
func New(f *os.File, total int64) *Progress {
	p := &Progress{w: f}
	if term.IsTerminal(int(f.Fd())) {
		p.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(f),
			progressbar.OptionShowBytes(true),
			progressbar.OptionSetDescription("building"),
			progressbar.OptionSetWidth(24),
			progressbar.OptionThrottle(65_000_000), // ns
			progressbar.OptionClearOnFinish())
	}
	return p
}

// Task starts a piece of the work of size bytes. It wraps the bodies of l so that
// reading them moves the bar.
func (p *Progress) Task(name string, l packaging.Layout) *Task {
	t := &Task{p: p, name: name}
	t.left.Store(l.Size())
	if p == nil || p.bar == nil {
		return t
	}
	for i := range l {
		if l[i].Body != nil {
			l[i].Body = body{l[i].Body, t}
		}
	}
	return t
}

// Close takes the bar away.
func (p *Progress) Close() {
	if p != nil && p.bar != nil {
		p.bar.Clear() //nolint:errcheck // a bar that cannot be cleared is no error
	}
}

// A Task is one package of the work.
type Task struct {
	p    *Progress
	name string
	left atomic.Int64 // bytes not yet counted
}

// Done ends the task: bytes that were not read, because a cache had them, are
// counted now, and where there is no bar a line says what was done.
func (t *Task) Done() {
	p := t.p
	if p == nil || p.w == nil {
		return
	}
	if p.bar != nil {
		t.add(t.left.Load())
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintln(p.w, "built", t.name)
}

// add counts n bytes, though never more than the task has.
func (t *Task) add(n int64) {
	for {
		left := t.left.Load()
		n = min(n, left)
		if n <= 0 {
			return
		}
		if t.left.CompareAndSwap(left, left-n) {
			t.p.bar.Add64(n) //nolint:errcheck // only a closed bar gives an error
			return
		}
	}
}

type body struct {
	packaging.Body
	t *Task
}

func (b body) Open() (io.ReadCloser, error) {
	r, err := b.Body.Open()
	if err != nil {
		return nil, err
	}
	return reader{r, b.t}, nil
}

type reader struct {
	io.ReadCloser
	t *Task
}

func (r reader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.t.add(int64(n))
	return n, err
}
