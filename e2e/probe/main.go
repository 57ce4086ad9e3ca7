// Command probe tells whether a packet filter lets connections through at every
// moment, from inside of boxes:
//
//	probe serve PORT...    echoes what it is sent
//	probe try HOST:PORT    exit status 0 if a connection can be made
//	probe watch --open ADDRESSES --shut ADDRESSES --held ADDRESSES --phase FILE --out FILE
//
// Watch tries a new connection to each shut address every millisecond, or as often
// as it can, and to each open one every ten; it keeps one connection to each held
// address, on which it sends something just as often. It does so until SIGTERM and
// then writes what it saw, by phase: the name that the phase file has at the time.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	interval     = time.Millisecond
	openInterval = 10 * time.Millisecond // a moment in which it is shut lasts longer for the one who waits
	// A packet that is let through is answered at once. What is dropped is sent again
	// by the kernel after a second, which is too late for this.
	patience = 900 * time.Millisecond
	// An echo may wait for the kernel to send again, and for a busy machine.
	endurance = 10 * time.Second
)

// A Report is what watch saw, by phase.
type Report map[string]*Phase

// A Phase is what was seen in one.
type Phase struct {
	Shut   int      // tries of addresses that are to be shut
	Opened []string // those that were let through: time and address; the first few
	Open   int      // tries of addresses that are to be open
	Closed []string // those that were not let through
	Echoes int      // on the connections that are held
	Broken []string // connections that are held no longer, and why
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "probe: %v\n", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return errors.New("called wrongly")
	}
	switch verb, rest := args[0], args[1:]; verb {
	case "serve":
		return serve(rest)
	case "try":
		c, err := net.DialTimeout("tcp", rest[0], patience) //nolint:gosec // the test says where to
		if err != nil {
			return err
		}
		return c.Close()
	case "watch":
		return watch(rest)
	default:
		return fmt.Errorf("%q: unknown", verb)
	}
}

func serve(ports []string) error {
	errs := make(chan error)
	for _, port := range ports {
		l, err := net.Listen("tcp", ":"+port)
		if err != nil {
			return err
		}
		go func() { errs <- accept(l) }()
	}
	return <-errs
}

func accept(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			io.Copy(c, c) //nolint:errcheck // until the other end has enough
		}()
	}
}

// A watcher is one run of watch.
type watcher struct {
	phaseFile string

	mu     sync.Mutex
	name   string
	report Report
}

func watch(args []string) error {
	f := flag.NewFlagSet("watch", flag.ContinueOnError)
	open := f.String("open", "", "addresses that can be reached, with commas")
	shut := f.String("shut", "", "addresses that cannot be reached")
	held := f.String("held", "", "addresses to stay connected with")
	phase := f.String("phase", "", "`file` with the name of the phase")
	out := f.String("out", "", "`file` for the report")
	if err := f.Parse(args); err != nil {
		return err
	}
	list := func(s string) []string { return strings.FieldsFunc(s, func(r rune) bool { return r == ',' }) }
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	w := &watcher{phaseFile: *phase, report: Report{}}
	w.readPhase()
	var wg sync.WaitGroup
	for _, a := range list(*held) {
		c, err := net.DialTimeout("tcp", a, patience)
		if err != nil {
			return err
		}
		wg.Go(func() { w.hold(ctx, c) })
	}
	for _, a := range list(*open) {
		wg.Go(func() {
			w.dial(ctx, a, openInterval, func(p *Phase) *int { return &p.Open }, nil, func(p *Phase) *[]string { return &p.Closed })
		})
	}
	for _, a := range list(*shut) {
		wg.Go(func() {
			w.dial(ctx, a, interval, func(p *Phase) *int { return &p.Shut }, func(p *Phase) *[]string { return &p.Opened }, nil)
		})
	}
	for ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
		w.readPhase()
	}
	wg.Wait()
	b, err := json.Marshal(w.report)
	if err != nil {
		return err
	}
	return os.WriteFile(*out, b, 0o600)
}

func (w *watcher) readPhase() {
	b, err := os.ReadFile(w.phaseFile)
	if err != nil {
		return // it is being replaced
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.name = strings.TrimSpace(string(b))
}

// note counts something in the current phase and may list it.
func (w *watcher) note(count func(*Phase) *int, list func(*Phase) *[]string, what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.report[w.name]
	if p == nil {
		p = &Phase{}
		w.report[w.name] = p
	}
	if count != nil {
		*count(p)++
	}
	if list == nil {
		return
	}
	const most = 20 // what comes after is no news
	if l := list(p); len(*l) < most {
		*l = append(*l, time.Now().Format("15:04:05.000 ")+what)
	}
}

// dial tries an address again and again.
func (w *watcher) dial(ctx context.Context, address string, every time.Duration, count func(*Phase) *int, good, bad func(*Phase) *[]string) {
	var wg sync.WaitGroup
	defer wg.Wait()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for ctx.Err() == nil {
		<-tick.C
		wg.Go(func() {
			c, err := net.DialTimeout("tcp", address, patience)
			if err != nil {
				w.note(count, bad, address+": "+err.Error())
				return
			}
			w.note(count, good, address)
			if tcp, ok := c.(*net.TCPConn); ok {
				tcp.SetLinger(0) //nolint:errcheck // a reset, for there are not enough ports to let each wait
			}
			c.Close()
		})
	}
}

// hold sends and receives on one connection.
func (w *watcher) hold(ctx context.Context, c net.Conn) {
	defer c.Close()
	broken := func(p *Phase) *[]string { return &p.Broken }
	buf := make([]byte, 8)
	tick := time.NewTicker(openInterval)
	defer tick.Stop()
	for ctx.Err() == nil {
		<-tick.C
		err := c.SetDeadline(time.Now().Add(endurance))
		if err == nil {
			_, err = c.Write(buf)
		}
		if err == nil {
			_, err = io.ReadFull(c, buf)
		}
		if err != nil {
			w.note(nil, broken, c.RemoteAddr().String()+": "+err.Error())
			return
		}
		w.note(func(p *Phase) *int { return &p.Echoes }, nil, "")
	}
}
