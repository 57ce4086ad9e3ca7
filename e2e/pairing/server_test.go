//go:build linux

package pairing

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vpkg/vpkg/internal/testbed"
)

// corrupted is another server, with one byte of each package changed.
func corrupted(t *testing.T) library {
	t.Helper()
	data := filepath.Join(testbed.Dir(t), "corrupted")
	run(t, filepath.Join(testbed.Dir(t), "vpkg-library"), "--data", data, "import", filepath.Join(testbed.Dir(t), "dist"))
	spoiled := 0
	err := filepath.WalkDir(data, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || len(filepath.Base(path)) != 64 { // its SHA-256
			return err
		}
		if err := os.Chmod(path, 0o600); err != nil {
			return err
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		var b [1]byte
		if _, err := f.ReadAt(b[:], 200_000); err != nil {
			return err
		}
		b[0] ^= 1
		spoiled++
		_, err = f.WriteAt(b[:], 200_000)
		return err
	})
	if err != nil || spoiled == 0 {
		t.Fatalf("%d packages were changed: %v", spoiled, err)
	}
	l := serve(t, data, address+":8444")
	t.Cleanup(func() { searchServer(t, l) })
	return l
}

// cut passes connections on to the server. The first one that gets more than limit
// bytes from it is cut there.
func cut(t *testing.T, server string, limit int64) string {
	t.Helper()
	l, err := net.Listen("tcp", address+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var done atomic.Bool
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer in.Close()
				out, err := net.Dial("tcp", server)
				if err != nil {
					return
				}
				defer out.Close()
				go func() {
					io.Copy(out, in) //nolint:errcheck // either side may leave
					out.Close()
				}()
				if n, _ := io.CopyN(in, out, limit); n < limit || done.CompareAndSwap(false, true) {
					return
				}
				io.Copy(in, out) //nolint:errcheck // as above
			}()
		}
	}()
	return l.Addr().String()
}

// connectProxy is an HTTP proxy for connections to servers, and counts them.
func connectProxy(t *testing.T) (port string, count *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	count = new(atomic.Int64)
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out, err := net.Dial("tcp", r.Host)
		if r.Method != http.MethodConnect || err != nil {
			http.Error(w, "only connections to servers", http.StatusBadGateway)
			return
		}
		defer out.Close()
		count.Add(1)
		in, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer in.Close()
		io.WriteString(in, "HTTP/1.1 200 OK\r\n\r\n") //nolint:errcheck // then it has left
		go func() {
			io.Copy(out, buffered) //nolint:errcheck // either side may leave
			out.Close()
		}()
		io.Copy(in, out) //nolint:errcheck // as above
	})}
	go s.Serve(l) //nolint:errcheck // until Close
	t.Cleanup(func() { s.Close() })
	_, port, err = net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port, count
}

// activate activates a machine as an agent does, from an address. The status is 0 if
// there is no answer.
func (l library) activate(t *testing.T, profile, code, hostname string, request int, from net.IP) (status int, said string) {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: from}}
	transport := &http.Transport{DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	client := http.Client{Timeout: time.Minute, Transport: transport}
	body := fmt.Sprintf(`{"activation_code":%q,"request_id":"%032x","profile_id":%q,"hostname":%q,"os_id":"debian-x86_64-12","version":%q,"formats":["nftables"]}`,
		code, request, profile, hostname, release)
	r, err := client.Post("https://"+l.server+"/api/v18/ven/activate", "application/json", strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, err.Error()
	}
	return r.StatusCode, string(b)
}

// TestFifty: fifty machines at once. A key for five pairs five of them, and one
// without a limit all.
func TestFifty(t *testing.T) {
	t.Parallel()
	l := one(t)
	for uses, want := range map[string]int64{"5": 5, "unlimited": 50} {
		profile := l.profile(t, "--allowed-uses-per-key", uses)
		_, code := l.line(t, profile)
		var paired, refused atomic.Int64
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				// Each with an address of its own, for one that fails often has to wait.
				switch status, said := l.activate(t, profile, code, fmt.Sprintf("fifty-%s-%d", uses, i), i+1+int(want)*100, net.IPv4(127, 0, byte(want), byte(i+1))); status {
				case http.StatusCreated:
					paired.Add(1)
				case http.StatusUnauthorized:
					refused.Add(1)
				default:
					t.Errorf("status %d: %s", status, said)
				}
			})
		}
		wg.Wait()
		if paired.Load() != want || refused.Load() != 50-want {
			t.Errorf("a key for %s pairs %d and refuses %d, want %d and %d", uses, paired.Load(), refused.Load(), want, 50-want)
		}
		var all []struct{ Hostname string }
		parse(t, l.run(t, "workload", "list", "--json"), &all)
		listed := int64(0)
		for _, w := range all {
			if strings.HasPrefix(w.Hostname, "fifty-"+uses+"-") {
				listed++
			}
		}
		if listed != want {
			t.Errorf("%d of %s uses are listed", listed, uses)
		}
	}
}

// searchServer searches the server for every code that there is so far: its log, its
// folder with the database, and what its process shows of itself.
func searchServer(t *testing.T, l library) {
	t.Helper()
	codes.Lock()
	defer codes.Unlock()
	if found := l.search(t, codes.all...); len(found) > 0 {
		t.Errorf("an activation code is in %q", found)
	}
	// That what is there is found: the server's address, and this test's profile.
	proc := fmt.Sprintf("/proc/%d/", l.pid)
	found := l.search(t, address)
	for _, want := range []string{l.log, proc + "cmdline", proc + "environ"} {
		if !slices.Contains(found, want) {
			t.Errorf("the search does not find the server's address in %s", want)
		}
	}
	found = l.search(t, t.Name()+" ")
	if !slices.ContainsFunc(found, func(file string) bool { return strings.HasPrefix(file, l.data+"/") }) {
		t.Errorf("the search finds the profile of %s in %q only", t.Name(), found)
	}
}

// search lists the files of the server that have one of the texts.
func (l library) search(t *testing.T, texts ...string) (found []string) {
	t.Helper()
	files := []string{l.log, fmt.Sprintf("/proc/%d/cmdline", l.pid), fmt.Sprintf("/proc/%d/environ", l.pid)}
	err := filepath.WalkDir(l.data, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil && !os.IsNotExist(err) {
			t.Error(err)
		}
		if slices.ContainsFunc(texts, func(text string) bool { return bytes.Contains(b, []byte(text)) }) {
			found = append(found, file)
		}
	}
	return found
}
