// Command pce is a server for agents in boxes and virtual machines, which have
// nothing else to speak to:
//
//	pce --listen 127.0.0.1:8443 --code-file FILE --policy FILE --ca-out FILE --calls FILE
//
// It serves until it is killed. The policy is read again at every request, so that
// a test changes it by replacing the file; without one there is no policy. Each
// call is appended to the file of calls as a line of JSON, without codes and tokens.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"github.com/vpkg/vpkg/agent"
	"github.com/vpkg/vpkg/agent/agenttest"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintf(os.Stderr, "pce: %v\n", err)
		}
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	f := flag.NewFlagSet("pce", flag.ContinueOnError)
	f.SetOutput(stderr)
	listen := f.String("listen", "127.0.0.1:8443", "`address` to listen on; port 0 chooses one")
	hosts := f.String("hosts", "", "names and addresses in the certificate, besides the address, with commas")
	codeFile := f.String("code-file", "", "`file` with one activation code a line")
	uses := f.Int("uses", 1, "how often each code may be used; -1 is without end")
	policyFile := f.String("policy", "", "`file` with the policy, JSON")
	caOut := f.String("ca-out", "", "`file` to write the authority's certificate to")
	imagesDir := f.String("images", "", "`folder` that vpkg build wrote: packages and pairing scripts")
	calls := f.String("calls", "", "`file` to append the calls to")
	heartbeat := f.Int("heartbeat", 0, "`seconds` between heartbeats, told to agents")
	before := f.Duration("not-before", -time.Hour, "begin of the certificate's validity, from now")
	after := f.Duration("not-after", 30*24*time.Hour, "end of the certificate's validity, from now")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return errors.New("pce takes only options")
	}

	s := &agenttest.Server{HeartbeatSeconds: *heartbeat, Policy: func() (*agent.Policy, error) { return readPolicy(*policyFile) }}
	if *codeFile != "" {
		text, err := os.ReadFile(*codeFile)
		if err != nil {
			return err
		}
		for code := range strings.FieldsSeq(string(text)) {
			s.AddCode(code, *uses)
		}
	}
	if *calls != "" {
		out, err := os.OpenFile(*calls, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		defer out.Close() // each line was written when it was known
		enc := json.NewEncoder(out)
		s.Called = func(c agenttest.Call) {
			if err := enc.Encode(c); err != nil {
				fmt.Fprintf(stderr, "pce: %v\n", err)
			}
		}
	}

	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	defer l.Close() // only when serving failed
	host, _, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return err
	}
	names := append([]string{host}, strings.FieldsFunc(*hosts, func(r rune) bool { return r == ',' })...)
	ca, err := agenttest.NewAuthority("vpkg test authority")
	if err != nil {
		return err
	}
	cert, err := ca.Certificate(time.Now().Add(*before), time.Now().Add(*after), names...)
	if err != nil {
		return err
	}
	if *caOut != "" {
		if err := os.WriteFile(*caOut, ca.PEM, 0o644); err != nil {
			return err
		}
	}
	if *imagesDir != "" {
		s.Before = images{*imagesDir, ca.PEM}.answer
	}
	fmt.Fprintf(stdout, "listening on %s\n", l.Addr()) // whoever started us waits for this line
	return s.Serve(l, cert)
}

// readPolicy reads the policy, if there is one.
func readPolicy(name string) (*agent.Policy, error) {
	if name == "" {
		return nil, nil
	}
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var p agent.Policy
	if err := json.Unmarshal(b, &p); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &p, p.Validate()
}
