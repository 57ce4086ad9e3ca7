package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/vpkg/vpkg/library"
	"github.com/vpkg/vpkg/library/authority"
	"github.com/vpkg/vpkg/library/console"
	"github.com/vpkg/vpkg/library/server"
)

// serveOptions are the flags of serve.
type serveOptions struct {
	listen    string
	hosts     []string
	tlsCert   string
	tlsKey    string
	tlsCA     string
	plain     bool
	product   string
	proxies   []string
	limit     int64
	rate      float64
	heartbeat time.Duration
	patience  time.Duration
	logFormat string
	logLevel  string
}

// flags are all settings but those of every command.
func (o *serveOptions) flags(fl *pflag.FlagSet) {
	fl.StringVar(&o.listen, "listen", ":8443", "`ADDR:PORT` to listen at")
	fl.StringSliceVar(&o.hosts, "host", nil, "a DNS name or an address by which machines know this server, for its certificate; the first is shown. Default: those of this host")
	fl.StringVar(&o.tlsCert, "tls-cert", "", "the server's certificate, PEM, from `FILE`, in place of one that is made")
	fl.StringVar(&o.tlsKey, "tls-key", "", "its key, from `FILE`")
	fl.StringVar(&o.tlsCA, "tls-ca", "", "the authority of --tls-cert, PEM, from `FILE`, for machines that do not trust it yet")
	fl.BoolVar(&o.plain, "plain-http", false, "serve without TLS, for a proxy that speaks TLS")
	fl.StringVar(&o.product, "product", defaultProduct, "the `NAME` of the package that machines get")
	fl.StringSliceVar(&o.proxies, "trusted-proxy", nil, "a `CIDR` of proxies whose X-Forwarded-For is believed")
	fl.Int64Var(&o.limit, "max-package", library.DefaultMaxPackage, "the largest package, in `BYTES`")
	fl.Float64Var(&o.rate, "rate-limit", 100, "`REQUESTS` that one client address may make in a second, 500 of them at once; 0 means no limit")
	fl.DurationVar(&o.heartbeat, "heartbeat", 5*time.Minute, "the time between the heartbeats of an agent, 1s to 1h")
	fl.DurationVar(&o.patience, "shutdown-timeout", 10*time.Minute, "how long downloads may take to finish at the end")
	fl.StringVar(&o.logFormat, "log-format", "text", "`FORMAT` of the log on standard error: text or json")
	fl.StringVar(&o.logLevel, "log-level", "info", "`LEVEL` of the log: debug, info, warn or error")
}

func serveCommand() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve packages, pairing scripts, the API and the console",
		Long: `Serve packages, pairing scripts, the API and the console.

Where there is nothing yet, it makes the data folder, an authority with a certificate
for this host, and an administrator, whose password it prints this once. Under
systemd, where that would land in the journal, set one with the command password.

Every flag can be given in the environment, as VPKG_LIBRARY_LISTEN and so on, lists
separated by commas; or in the YAML file that --config or VPKG_LIBRARY_CONFIG names,
by the name of the flag:
  listen: :443
  tls-cert: /etc/vpkg-library/server.crt
  tls-key: /etc/vpkg-library/server.key
What is given in several places counts in this order: flags, environment, file.

SIGTERM and SIGINT end it when the downloads under way are done, a second one at once.
SIGHUP, and any change of the files, make it read certificates again.`,
		Example: `  vpkg-library serve
  vpkg-library serve --data /var/lib/vpkg-library --host library.example.com
  vpkg-library serve --tls-cert server.crt --tls-key server.key`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return usageError{fmt.Errorf("serve: %w", err)}
			}
			return o.run(cmd)
		},
	}
	o.flags(cmd.Flags())
	return cmd
}

func (o *serveOptions) check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if _, _, err := net.SplitHostPort(o.listen); err != nil {
		bad("--listen %.80q is not ADDR:PORT", o.listen)
	}
	if (o.tlsCert == "") != (o.tlsKey == "") {
		bad("--tls-cert and --tls-key belong together")
	}
	if o.tlsCA != "" && o.tlsCert == "" {
		bad("--tls-ca is for --tls-cert")
	}
	if o.plain && o.tlsCert != "" {
		bad("--plain-http has no certificate")
	}
	if o.limit < 1 {
		bad("--max-package is not positive")
	}
	if o.rate < 0 {
		bad("--rate-limit is negative")
	}
	if o.heartbeat < time.Second || o.heartbeat > time.Hour {
		bad("--heartbeat %v is not 1s to 1h", o.heartbeat)
	}
	if o.patience < 0 {
		bad("--shutdown-timeout is negative")
	}
	if o.logFormat != "text" && o.logFormat != "json" {
		bad("--log-format %.40q is neither text nor json", o.logFormat)
	}
	if _, err := o.level(); err != nil {
		bad("--log-level %.40q is none of debug, info, warn and error", o.logLevel)
	}
	if _, err := o.trusted(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (o *serveOptions) level() (l slog.Level, err error) {
	err = l.UnmarshalText([]byte(o.logLevel))
	return l, err
}

// trusted gives the networks of proxies. An address alone is a network of one.
func (o *serveOptions) trusted() (all []netip.Prefix, err error) {
	for _, s := range o.proxies {
		p, err := netip.ParsePrefix(s)
		if a, aerr := netip.ParseAddr(s); aerr == nil {
			p, err = a.Prefix(a.BitLen())
		}
		if err != nil {
			return nil, fmt.Errorf("--trusted-proxy %.80q is not a network such as 192.0.2.0/24", s)
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

func (o *serveOptions) logger(w io.Writer) *slog.Logger {
	level, _ := o.level() // it was checked
	ho := &slog.HandlerOptions{Level: level}
	if o.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, ho))
	}
	return slog.New(slog.NewTextHandler(w, ho))
}

// certificates are where the server's certificate comes from.
type certificates interface {
	GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
	Refresh() error
}

func (o *serveOptions) run(cmd *cobra.Command) (err error) {
	ctx := cmd.Context()
	d, err := openData(cmd, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	unlock, err := lock(filepath.Join(d.dir, lockFile))
	if err != nil {
		return fmt.Errorf("library %s: %w", d.dir, err)
	}
	defer unlock()
	d.MaxPackage = o.limit
	if err := d.Sweep(ctx); err != nil {
		return fmt.Errorf("library %s: removing files that nothing needs: %w", d.dir, err)
	}
	t, err := o.openTLS(ctx, d)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", o.listen)
	if err != nil {
		return err
	}
	defer l.Close() // it is closed already, unless what follows fails
	log := o.logger(cmd.ErrOrStderr())
	s := o.server(d, t, log)
	// The password is made when nothing else can go wrong any more.
	if err := o.welcome(cmd, d, t, l.Addr()); err != nil {
		return err
	}
	return o.serve(ctx, s, l, t, log)
}

// transport is how the server is reached.
type transport struct {
	certs certificates         // nil means plain HTTP
	own   *authority.Authority // nil means that certificates are the administrator's
	ca    []byte               // what is offered at /ca.crt; nil means nothing
	hosts []string             // names first
}

func (o *serveOptions) openTLS(ctx context.Context, d *data) (t transport, err error) {
	t.hosts = o.hosts
	if len(t.hosts) == 0 {
		t.hosts = hostsOfSystem(ctx)
	}
	switch {
	case o.plain:
	case o.tlsCert != "":
		f := &authority.Files{Cert: o.tlsCert, Key: o.tlsKey}
		if err := f.Refresh(); err != nil {
			return t, err
		}
		t.certs = f
		if o.tlsCA != "" {
			if t.ca, err = authority.ReadCA(o.tlsCA); err != nil {
				return t, err
			}
		}
	default:
		if t.own, err = authority.Open(filepath.Join(d.dir, tlsFolder), t.hosts); err != nil {
			return t, err
		}
		t.certs, t.ca = t.own, t.own.PEM()
	}
	return t, authority.Offer(filepath.Join(d.dir, offeredFile), t.ca)
}

// server puts together what answers.
func (o *serveOptions) server(d *data, t transport, log *slog.Logger) *http.Server {
	proxies, _ := o.trusted() // they were checked
	rate := o.rate
	if rate == 0 {
		rate = -1 // no limit, as the server says it
	}
	s := &server.Server{
		Library: d.Library, Product: o.product, CA: t.ca, Log: log,
		TrustedProxies: proxies, Heartbeat: o.heartbeat, Limits: server.Limits{Requests: rate},
	}
	c := &console.Console{Library: d.Library, Product: o.product, Log: log, Heartbeat: o.heartbeat}
	if t.ca != nil {
		c.CA = authority.SHA256(t.ca)
	}
	s.Console = c.Handler()
	h := s.HTTPServer()
	if t.certs != nil {
		h.TLSConfig = &tls.Config{GetCertificate: t.certs.GetCertificate, MinVersion: tls.VersionTLS12}
	}
	return h
}

// serve serves until the context ends, and then finishes what is under way.
func (o *serveOptions) serve(ctx context.Context, s *http.Server, l net.Listener, t transport, log *slog.Logger) error {
	defer s.Close()
	refresh, stop := context.WithCancel(ctx)
	defer stop()
	if t.certs != nil {
		go o.refresh(refresh, t, log)
	}
	done := make(chan error, 1)
	go func() {
		if t.certs != nil {
			done <- s.ServeTLS(l, "", "")
			return
		}
		done <- s.Serve(l)
	}()
	log.Info("serving", "address", l.Addr().String(), "tls", t.certs != nil)
	if err := notify("READY=1"); err != nil {
		log.Warn("the service manager was not told", "error", err)
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	return errors.Join(o.finish(s, log), ignoreClosed(<-done))
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// finish takes no more connections, and waits for what is under way: until it is
// done, the patience ends, or a second signal says so.
func (o *serveOptions) finish(s *http.Server, log *slog.Logger) error {
	log.Info("ending: downloads under way are finished", "timeout", o.patience)
	if err := notify("STOPPING=1"); err != nil {
		log.Warn("the service manager was not told", "error", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), o.patience)
	defer cancel()
	again := make(chan os.Signal, 1)
	signal.Notify(again, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(again)
	go func() {
		select {
		case <-again:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := s.Shutdown(ctx); err != nil {
		log.Warn("ended before all downloads were finished")
		return ignoreClosed(s.Close())
	}
	log.Info("ended")
	return nil
}

// refresh looks after the certificate once a minute, and when it is told to.
func (o *serveOptions) refresh(ctx context.Context, t transport, log *slog.Logger) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	said := ""
	for {
		told := false
		select {
		case <-ctx.Done():
			return
		case <-hup:
			told = true
		case <-tick.C:
		}
		err := t.certs.Refresh()
		if err == nil && t.own != nil && len(o.hosts) == 0 {
			t.hosts = known(t.hosts, hostsOfSystem(ctx))
			err = t.own.SetHosts(t.hosts)
		}
		text := fmt.Sprint(err)
		switch {
		case err != nil && (told || text != said):
			log.Error("the certificate stays as it is", "error", err)
		case err == nil && (told || said != "" && text != said):
			log.Info("the certificate was looked after")
		}
		said = text
	}
}

// maxHosts is how many names and addresses a certificate has that are found out.
const maxHosts = 50

// known gives the hosts that were known, and those that have come: addresses that
// come and go do not make a new certificate each time.
func known(was, now []string) []string {
	all := append([]string{}, was...)
	for _, h := range now {
		if len(all) < maxHosts && !contains(all, h) {
			all = append(all, h)
		}
	}
	return all
}

func contains(all []string, s string) bool {
	for _, h := range all {
		if strings.EqualFold(h, s) {
			return true
		}
	}
	return false
}
