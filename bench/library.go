//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const nginxConfig = `daemon off;
pid %[1]s/nginx.pid;
error_log stderr warn;
worker_processes %[2]d;
events { worker_connections 1024; }
http {
	access_log off;
	sendfile on;
	tcp_nopush on;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	ssl_certificate %[3]s;
	ssl_certificate_key %[3]s;
	ssl_protocols TLSv1.3;
	server {
		listen 127.0.0.1:%[4]d;
		listen 127.0.0.1:%[5]d ssl;
		root %[1]s/www;
	}
}
`

// Of what is measured for a library server.
const (
	downloaders = 4      // at once
	activations = 10_000 // machines
	activators  = 64     // of them at once
)

// library measures a library server: downloads beside nginx, the pairing script, and
// activations.
func (b *bench) library(ctx context.Context, mb int) error {
	for _, t := range []string{"nginx", "curl", "wrk"} {
		if _, err := exec.LookPath(t); err != nil {
			return fmt.Errorf("%s is not installed", t)
		}
	}
	l := &libraryBench{bench: b, dir: filepath.Join(b.dir, "library"), program: filepath.Join(b.dir, "vpkg-library")}
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", l.program, "./cmd/vpkg-library").CombinedOutput(); err != nil {
		return fmt.Errorf("building vpkg-library: %w\n%s", err, out)
	}
	if err := l.prepare(ctx, mb); err != nil {
		return err
	}
	stop, err := l.nginx(ctx)
	if err != nil {
		return err
	}
	defer stop()
	var rows []download
	for _, scheme := range []string{"http", "https"} {
		args := []string{"--plain-http"}
		if scheme == "https" {
			args = []string{"--tls-cert", l.pem, "--tls-key", l.pem}
		}
		server, end, err := l.serve(ctx, args...)
		if err != nil {
			return err
		}
		err = l.downloads(ctx, scheme, server, &rows)
		if err == nil {
			err = l.scripts(ctx, scheme, server)
		}
		if err == nil && scheme == "https" {
			err = l.activate(ctx, server)
		}
		if err = errors.Join(err, end()); err != nil {
			return err
		}
	}
	l.print(rows)
	return os.RemoveAll(l.dir)
}

type libraryBench struct {
	*bench
	dir     string // of the library
	program string
	size    int64  // bytes of the package
	release string // of it
	pem     string // certificate and key that both servers have
	ca      string
	ports   [2]int // of nginx: plain and TLS
	profile int64
	code    string
	lines   []string // of the result, besides downloads
}

// do runs vpkg-library on the folder, and gives what it prints.
func (l *libraryBench) do(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, l.program, append(args, "--data", l.dir)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("vpkg-library %s: %w\n%s%s", args[0], err, out, &stderr)
	}
	return strings.TrimSpace(string(out)), nil
}

// prepare makes the package, of noise that does not compress, and what both servers
// need of it.
func (l *libraryBench) prepare(ctx context.Context, mb int) error {
	tree, pkgs, www := filepath.Join(l.bench.dir, "noise"), filepath.Join(l.bench.dir, "noise-pkgs"), filepath.Join(l.bench.dir, "www")
	if err := errors.Join(os.MkdirAll(tree, 0o755), os.MkdirAll(www, 0o755)); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(tree, "noise"))
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, rand.Reader, int64(mb)*1e6)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	manifest, err := l.write("noise.yaml", vpkgManifest, tree)
	if err != nil {
		return err
	}
	if err := l.bench.do(ctx, l.vpkg, "build", "--manifest", manifest, "--os", "el9", "--out", pkgs); err != nil {
		return err
	}
	rpms, _ := filepath.Glob(filepath.Join(pkgs, "*.rpm")) // the pattern is good
	if len(rpms) != 1 {
		return fmt.Errorf("the package is missing: %q", rpms)
	}
	fi, err := os.Stat(rpms[0])
	if err != nil {
		return err
	}
	l.size, l.release = fi.Size(), "1.0.0-1"
	if _, err := l.do(ctx, "import", pkgs); err != nil {
		return err
	}
	if err := os.Rename(rpms[0], filepath.Join(www, "package")); err != nil {
		return err
	}
	id, err := l.do(ctx, "profile", "create", "bench")
	if err != nil {
		return err
	}
	if l.profile, err = strconv.ParseInt(id, 10, 64); err != nil {
		return err
	}
	if l.code, err = l.do(ctx, "key", "create", id); err != nil {
		return err
	}
	return l.certificate(ctx)
}

// certificate lets the server make an authority, and takes the certificate for both.
func (l *libraryBench) certificate(ctx context.Context) error {
	_, end, err := l.serve(ctx, "--host", "127.0.0.1")
	if err != nil {
		return err
	}
	if err := end(); err != nil {
		return err
	}
	ca, err := l.do(ctx, "ca")
	if err != nil {
		return err
	}
	l.pem = filepath.Join(l.dir, "tls", "server.pem")
	l.ca, err = l.write("ca.crt", "%s\n", ca)
	return err
}

var addressLine = regexp.MustCompile(`(?m)^Address +https?://([^/]+)/$`)

// serve starts the server, and gives its address when it is ready.
func (l *libraryBench) serve(ctx context.Context, args ...string) (server string, end func() error, err error) {
	args = append([]string{"serve", "--data", l.dir, "--product", "benchmark", "--listen", "127.0.0.1:0", "--host", "127.0.0.1", "--log-level", "warn", "--rate-limit", "0"}, args...)
	cmd := exec.CommandContext(ctx, l.program, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	end = func() error {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			return err
		}
		if err := cmd.Wait(); err != nil {
			return fmt.Errorf("vpkg-library serve: %w\n%s", err, &stderr)
		}
		return nil
	}
	s := bufio.NewScanner(out)
	for s.Scan() {
		if m := addressLine.FindStringSubmatch(s.Text()); m != nil {
			go io.Copy(io.Discard, out) //nolint:errcheck // it ends with the server
			return m[1], end, waitFor(ctx, m[1])
		}
	}
	return "", nil, fmt.Errorf("vpkg-library serve: %w\n%s", errors.Join(s.Err(), cmd.Wait()), &stderr)
}

// waitFor waits until somebody listens.
func waitFor(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("nobody listens at %s: %w", address, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// nginx serves the same file.
func (l *libraryBench) nginx(ctx context.Context) (stop func(), err error) {
	for i := range l.ports {
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		l.ports[i] = ln.Addr().(*net.TCPAddr).Port
		ln.Close()
	}
	if err := os.Chmod(l.bench.dir, 0o755); err != nil { //nolint:gosec // its workers are another user
		return nil, err
	}
	config, err := l.write("nginx.conf", nginxConfig, l.bench.dir, 2, l.pem, l.ports[0], l.ports[1])
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "nginx", "-e", "stderr", "-c", config, "-p", l.bench.dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // its workers end, too
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop = func() {
		cmd.Process.Signal(os.Interrupt) //nolint:errcheck // it may have ended
		cmd.Wait()                       //nolint:errcheck // by a signal
	}
	if err := waitFor(ctx, net.JoinHostPort("127.0.0.1", strconv.Itoa(l.ports[1]))); err != nil {
		stop()
		return nil, fmt.Errorf("nginx: %w\n%s", err, &stderr)
	}
	return stop, nil
}

// A download is what several clients got at once.
type download struct {
	name string
	rate float64 // 10^6 bytes in a second, all clients together, the median of several rounds
	base float64 // of nginx; 0 if this is nginx
}

// rounds is how often downloads are measured, by turns.
const rounds = 7

func (l *libraryBench) downloads(ctx context.Context, scheme, server string, rows *[]download) error {
	port := l.ports[0]
	if scheme == "https" {
		port = l.ports[1]
	}
	urls := []string{
		fmt.Sprintf("%s://127.0.0.1:%d/package", scheme, port),
		fmt.Sprintf("%s://%s/api/v18/software/ven/image?os=el9&arch=x86_64&version=%s", scheme, server, l.release),
	}
	var rates [2][]float64
	for range rounds {
		for i, url := range urls {
			rate, err := l.download(ctx, url)
			if err != nil {
				return err
			}
			rates[i] = append(rates[i], rate)
		}
	}
	for i := range rates {
		slices.Sort(rates[i])
	}
	nginx, ours := rates[0][rounds/2], rates[1][rounds/2]
	*rows = append(*rows, download{"nginx, " + scheme, nginx, 0}, download{"vpkg-library, " + scheme, ours, nginx})
	return nil
}

// download gives the rate of several clients at once, each of which gets the package
// a few times over one connection.
func (l *libraryBench) download(ctx context.Context, url string) (float64, error) {
	const times = 3
	args := []string{"-q", "-sS", "--fail", "--noproxy", "*", "--http1.1", "--cacert", l.ca, "--tls13-ciphers", "TLS_AES_128_GCM_SHA256", "-w", "%{size_download}\n"}
	for range times {
		args = append(args, "-o", "/dev/null", url)
	}
	errs := make([]error, downloaders)
	var wg sync.WaitGroup
	start := time.Now()
	for i := range downloaders {
		wg.Go(func() {
			out, err := exec.CommandContext(ctx, "curl", args...).CombinedOutput()
			if want := strings.Repeat(fmt.Sprintln(l.size), times); err == nil && string(out) != want {
				err = errors.New("other sizes than that of the package")
			}
			if err != nil {
				errs[i] = fmt.Errorf("curl %s: %w\n%s", url, err, out)
			}
		})
	}
	wg.Wait()
	seconds := time.Since(start).Seconds()
	return float64(l.size) * times * downloaders / 1e6 / seconds, errors.Join(errs...)
}

// scripts measures how many pairing scripts are sent in a second.
func (l *libraryBench) scripts(ctx context.Context, scheme, server string) error {
	url := fmt.Sprintf("%s://%s/api/v18/software/ven/image?pair_script=pair.sh&profile_id=%d", scheme, server, l.profile)
	out, err := exec.CommandContext(ctx, "wrk", "--latency", "-t", "2", "-c", "32", "-d", "10s", url).CombinedOutput()
	if err != nil {
		return fmt.Errorf("wrk: %w\n%s", err, out)
	}
	rate := regexp.MustCompile(`Requests/sec: +([0-9.]+)`).FindSubmatch(out)
	p99 := regexp.MustCompile(`99% +([0-9.]+[a-z]+)`).FindSubmatch(out)
	if rate == nil || p99 == nil || bytes.Contains(out, []byte("Non-2xx")) || bytes.Contains(out, []byte("Socket errors")) {
		return fmt.Errorf("wrk %s:\n%s", url, out)
	}
	l.lines = append(l.lines, fmt.Sprintf("pair.sh, %s, 32 connections: %s in a second, 99 of 100 within %s", scheme, rate[1], p99[1]))
	return nil
}
