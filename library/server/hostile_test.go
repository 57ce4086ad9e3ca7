package server_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/library"
	"github.com/vpkg/vpkg/library/server"
)

// What is there is answered in JSON, and so is what is not.
func TestNotThere(t *testing.T) {
	w := newWorld(t, nil)
	w.addRelease("25.2.20", "10")
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/api", 404},
		{"GET", "/api/", 404},
		{"GET", "/api/v18", 404},
		{"GET", "/api/v18/nonsense", 404},
		{"GET", "/api/v/software/ven/image?os=el8&arch=x86_64", 404},
		{"GET", "/api/v12345/software/ven/image?os=el8&arch=x86_64", 404},
		{"GET", "/api/v-1/software/ven/image?os=el8&arch=x86_64", 404},
		{"GET", "/api/x18/software/ven/image?os=el8&arch=x86_64", 404},
		{"POST", "/api/v18/software/ven/image", 405},
		{"PATCH", "/api/v18/orgs/1/pairing_profiles/1", 405},
		{"DELETE", "/healthz", 405},
		{"BREW", "/metrics", 405},
		{"GET", "/api/v18/../../etc/passwd", 404},
		{"GET", "/api/v18//software/ven/image", 404},
		{"GET", "/api/%2e%2e/%2e%2e/etc/passwd", 404},
		{"GET", "/api/v18/software/ven/image/..%2f..%2fetc%2fpasswd", 404},
		{"GET", "/api/v18/software/ven/image%00", 404},
		{"GET", "/", 404},
		{"GET", "/static/../../../etc/passwd", 404},
		{"GET", "/api/v18/orgs/2/pairing_profiles", 404},
		{"GET", "/api/v18/orgs/1/pairing_profiles/01", 404},
		{"GET", "/api/v18/orgs/1/pairing_profiles/-1", 404},
		{"GET", "/api/v18/orgs/1/pairing_profiles/99999999999999999999", 404},
		{"GET", "/api/v18/orgs/1/pairing_profiles/1%27%20OR%201=1", 404},
		{"GET", "/api/v18/orgs/1/workloads/7", 404},
		{"GET", "/api/v18/orgs/1/workloads?max_results=501", 400},
		{"GET", "/api/v18/orgs/1/workloads?max_results=0", 400},
		{"GET", "/api/v18/orgs/1/workloads?max_results=1&max_results=2", 400},
		{"GET", "/api/v18/orgs/1/events?before=x", 400},
		{"GET", "/api/v18/orgs/1/pairing_profiles?name=servers", 400},
		{"GET", "/api/v18/software/ven/image", 400},
		{"GET", "/api/v18/software/ven/image?os=el8", 400},
		{"GET", "/api/v18/software/ven/image?os=el8&arch=x86_64&profile_id=0", 400},
		{"GET", "/api/v18/software/ven/image?os=el8&arch=x86_64&profile_id=../1", 400},
		{"GET", "/api/v18/software/ven/image?os=el8&arch=x86_64&profile_id=4", 404},
		{"GET", "/api/v18/software/ven/image?os=el8&arch=x86_64&version=../../x", 404},
		{"GET", "/api/v18/software/ven/image?os=el8%00&arch=x86_64", 404},
		{"GET", "/api/v18/software/ven/image?os=el8&arch=x86_64;x=1", 400},
		{"GET", "/api/v18/software/ven/image?os=%zz", 400},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			a := w.call(c.method, c.path, "")
			a.wantError(t, c.status)
			if c.status == 405 && a.Header.Get("Allow") == "" {
				t.Error("Allow is missing")
			}
			if got := a.Header.Get("Location"); got != "" {
				t.Errorf("it leads to %s", got)
			}
		})
	}
	w.plain("GET", "/api/v18/software/ven/image?os=plan9&arch=x86_64", "").wantError(t, 404, "el8/x86_64", "u20/amd64", "windows/x64")
}

// What a shell gets instead of a script does nothing but say why and fail.
func TestRefusedScripts(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no sh")
	}
	w := newWorld(t, nil)
	busy := newWorld(t, func(s *server.Server) { s.Limits.Concurrent = -1 })
	bad := newWorld(t, nil)
	bad.lib.Store = broken{bad.lib.Store}
	const api = "/api/v18/software/ven/image?pair_script="
	ask := func(w *world, path string, status int) {
		t.Helper()
		a := w.plain("GET", path, "").want(t, status)
		c := exec.CommandContext(t.Context(), sh)
		c.Dir, c.Stdin = t.TempDir(), bytes.NewReader(a.body)
		var out, errs bytes.Buffer
		c.Stdout, c.Stderr = &out, &errs
		err := c.Run()
		if e, ok := errors.AsType[*exec.ExitError](err); !ok || e.ExitCode() != 1 || out.Len() != 0 || !strings.HasPrefix(errs.String(), "pair.sh: ") || strings.Count(errs.String(), "\n") != 1 {
			t.Errorf("%s: %q in a shell: %v, out %q, err %q", path, a.body, err, out.String(), errs.String())
		}
		if es, err := os.ReadDir(c.Dir); err != nil || len(es) != 0 {
			t.Errorf("%s: it left %v (%v)", path, es, err)
		}
	}
	ask(w, api+"pair.sh", 404) // there is no release
	w.addRelease("25.2.20", "10")
	ask(w, api+"pair.aix.sh", 404)
	ask(w, api+"%0Atouch%20x%0A", 404)
	ask(w, api+"$(touch%20x)", 404)
	ask(w, api+"pair.sh&profile_id=7", 404)
	ask(w, api+"pair.sh&profile_id=x%60touch%20y%60", 400)
	ask(w, api+"pair.sh&profile_id=%0Atouch%20x", 400)
	ask(w, api+"pair.sh&os=el8", 400)
	ask(w, api+"pair.sh&touch%20x=1", 400)
	ask(w, "/api/v0/software/ven/image?pair_script=pair.sh", 404)
	ask(w, "/api/v99999/software/ven/image?pair_script=pair.sh", 404)
	ask(busy, api+"pair.sh", 503)
	ask(bad, api+"pair.sh", 500)
}

// The script is that of the profile's release, of the default, or of the newest, also
// right after another process changed that.
func TestScript(t *testing.T) {
	w := newWorld(t, nil)
	w.addRelease("25.2.20", "10")
	const path = "/api/v18/software/ven/image?pair_script=pair.sh"
	script := func(path, version string) answer {
		t.Helper()
		a := w.plain("GET", path, "").want(t, 200)
		if got := a.Header.Get("Content-Type"); got != "text/plain; charset=utf-8" {
			t.Errorf("Content-Type %s", got)
		}
		for _, v := range []string{"25.2.20-10", "26.1.0-5"} {
			if got := strings.Contains(string(a.body), v); got != (v == version) {
				t.Errorf("%s: %s in it: %v, want %s", path, v, got, version)
			}
		}
		if a.Header.Get("ETag") != `"`+digest(a.body)+`"` || a.Header.Get("X-Checksum-Sha256") != digest(a.body) {
			t.Errorf("sums %v, want %s", a.Header, digest(a.body))
		}
		return a
	}
	first := script(path, "25.2.20-10")
	w.plain("GET", path, "", "If-None-Match", first.Header.Get("ETag")).want(t, 304)
	w.addRelease("26.1.0", "5")
	script(path, "26.1.0-5")
	w.plain("GET", path, "", "If-None-Match", first.Header.Get("ETag")).want(t, 200)
	p := w.profile(func(p *library.Profile) { p.Version = "25.2.20-10" })
	script(path+"&profile_id=1", "25.2.20-10")
	p.Version = ""
	if _, err := w.lib.SaveProfile(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	script(path+"&profile_id=1", "26.1.0-5")
	w.call("PUT", "/api/v3/orgs/1/software/vens/default", `{"version": "25.2.20-10"}`).want(t, 204)
	script(path+"&profile_id=1", "25.2.20-10")
	a, b := script(path, "25.2.20-10"), script(strings.Replace(path, "v18", "v27", 1), "25.2.20-10")
	if bytes.Equal(a.body, b.body) || !strings.Contains(string(b.body), "api=27") {
		t.Error("the script does not ask with the version of the API that it was asked for with")
	}
	w.call("DELETE", "/api/v3/orgs/1/pairing_profiles/1", "").want(t, 204)
	w.plain("GET", path+"&profile_id=1", "").want(t, 404)
}

// Uploads that are not as they have to be leave nothing.
func TestBadUploads(t *testing.T) {
	w := newWorld(t, func(s *server.Server) { s.Limits.Upload = 1 << 20 })
	w.lib.MaxPackage = 1 << 10
	const path = "/api/v18/software/ven/releases"
	good := "fake rpm illumio-ven 25.2.20 10.el8 x86_64\n"
	for _, c := range []struct {
		name, query, text string
		status            int
		words             string
	}{
		{"no name", "", good, 400, "name"},
		{"empty", "?name=a.rpm", "", 400, "empty"},
		{"no package", "?name=a.rpm", "hello", 422, "digest"},
		{"too large a package", "?name=a.rpm", good + strings.Repeat("\x00", 2<<10), 422, "larger"},
		{"too large a request", "?name=a.rpm", strings.Repeat("a", 2<<20), 413, "limit"},
		{"a path", "?name=../../a.rpm", good, 422, "file name"},
		{"an absolute path", "?name=/etc/cron.d/a", good, 422, "file name"},
		{"of Windows", "?name=..%5Ca.rpm", good, 422, "file name"},
		{"encoded twice", "?name=%252e%252e%252fa.rpm", good, 422, "file name"},
		{"NUL", "?name=a%00.rpm", good, 422, "file name"},
		{"hidden", "?name=.upload-1", good, 422, "file name"},
		{"of a header", "?name=a%0d%0aSet-Cookie:x", good, 422, "file name"},
		{"long", "?name=" + strings.Repeat("a", 300), good, 422, "file name"},
		{"a bundle that is none", "?name=a.tar.bz2", "BZh91AY&SY" + strings.Repeat("x", 100), 422, "bundle"},
		{"half a bundle", "?name=a.tar.bz2", "BZh", 422, "bundle"},
		{"another parameter", "?name=a.rpm&path=/etc", good, 400, "path"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := w.request("POST", path+c.query, c.text)
			r.Header.Set("Content-Type", "application/octet-stream")
			a := w.do(r).want(t, c.status)
			if !strings.Contains(string(a.body), c.words) {
				t.Errorf("%s does not say %q", a.body, c.words)
			}
			if strings.Contains(string(a.body), w.dir) {
				t.Errorf("%s tells of the server's inside", a.body)
			}
		})
	}
	var left []string
	err := filepath.Walk(w.dir, func(path string, fi os.FileInfo, err error) error {
		if err == nil && !fi.IsDir() && !strings.HasPrefix(fi.Name(), "library.db") {
			left = append(left, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if rs, err := w.lib.Releases(t.Context()); len(left) != 0 || len(rs) != 0 || err != nil {
		t.Errorf("left %q, releases %v (%v)", left, rs, err)
	}
}

// A profile is strictly checked, and a refused change changes nothing.
func TestStrictProfiles(t *testing.T) {
	w := newWorld(t, func(s *server.Server) { s.Limits.KeyRequests = -1 })
	const path = "/api/v18/orgs/1/pairing_profiles"
	w.call("POST", path, `{"enabled": true, "name": "servers"}`).want(t, 201)
	before := w.call("GET", path, "").want(t, 200)
	deep := strings.Repeat("[", 100000) + strings.Repeat("]", 100000)
	for _, c := range []struct{ name, body, words string }{
		{"empty", " ", "ends too early"},
		{"no object", `[]`, "object"},
		{"null", `null`, "object"},
		{"half", `{"enabled": tr`, ""},
		{"two", `{"enabled": true}{}`, "after its end"},
		{"unknown field", `{"enabled": true, "color": 1}`, "color"},
		{"read only", `{"enabled": true, "total_use_count": 0}`, "total_use_count"},
		{"href", `{"enabled": true, "href": "/orgs/1/pairing_profiles/1"}`, "href"},
		{"capitals", `{"Enabled": true}`, "Enabled"},
		{"long s", `{"deſcription": "x", "enabled": true}`, "unknown"},
		{"twice", `{"enabled": true, "enabled": false}`, "twice"},
		{"not UTF-8", "{\"enabled\": true, \"description\": \"\xff\"}", "UTF-8"},
		{"deep", `{"labels": ` + deep[:60000] + `}`, ""},
		{"deep but closed", `{"labels": ` + strings.Repeat("[", 50) + strings.Repeat("]", 50) + `}`, "deeper"},
		{"type", `{"enabled": "true"}`, "enabled"},
		{"no enum", `{"enabled": true, "enforcement_mode": "FULL"}`, "enforcement_mode"},
		{"no enum 2", `{"enabled": true, "visibility_level": "all"}`, "visibility_level"},
		{"no enum 3", `{"enabled": true, "ven_type": "toaster"}`, "ven_type"},
		{"limit 0", `{"enabled": true, "allowed_uses_per_key": 0}`, "2147483647"},
		{"limit -1", `{"enabled": true, "key_lifespan": -1}`, "2147483647"},
		{"limit large", `{"enabled": true, "key_lifespan": 2147483648}`, "2147483647"},
		{"limit 1.5", `{"enabled": true, "key_lifespan": 1.5}`, "2147483647"},
		{"limit text", `{"enabled": true, "key_lifespan": "5"}`, "unlimited"},
		{"limit word", `{"enabled": true, "allowed_uses_per_key": "one_use"}`, "unlimited"},
		{"label twice", `{"enabled": true, "labels": [{"key": "role", "value": "a"}, {"key": "role", "value": "b"}]}`, "twice"},
		{"label unknown", `{"enabled": true, "labels": [{"key": "os", "value": "a"}]}`, "role, app, env, loc"},
		{"label empty", `{"enabled": true, "labels": [{"key": "role", "value": ""}]}`, "no value"},
		{"label with a newline", `{"enabled": true, "labels": [{"key": "role", "value": "a\nb"}]}`, "one line"},
		{"label long", `{"enabled": true, "labels": [{"key": "role", "value": "` + strings.Repeat("a", 256) + `"}]}`, "255"},
		{"name empty", `{"enabled": true, "name": " "}`, "name"},
		{"name with NUL", `{"enabled": true, "name": "a\u0000b"}`, "name"},
		{"no such release", `{"enabled": true, "agent_software_release": "1.2.3"}`, "no release"},
		{"enabled is missing", `{"name": "x"}`, "enabled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.call("POST", path, c.body).wantError(t, 400, c.words)
			if c.name != "enabled is missing" {
				w.call("PUT", path+"/1", c.body).wantError(t, 400, c.words)
			}
		})
	}
	if after := w.call("GET", path, ""); !bytes.Equal(after.body, before.body) {
		t.Errorf("profiles %s\nwant %s", after.body, before.body)
	}
	for _, text := range []string{`Robert'); DROP TABLE profiles;--`, `{{.Secret}}`, "<script>alert(1)</script>", `$(reboot)`, "${jndi:ldap://x}", "%n%s", "Ünïcödé 名前", "\u200ea"} {
		q := fmt.Sprintf(`{"enabled": true, "name": %q, "labels": [{"key": "app", "value": %q}]}`, text, text)
		a := w.call("POST", path, q)
		if !strings.Contains(text, "\u200e") {
			got := decode[struct {
				Name   string
				Labels []struct{ Key, Value string }
			}](t, a.want(t, 201))
			if got.Name != text || len(got.Labels) != 1 || got.Labels[0].Value != text {
				t.Errorf("%q became %+v", text, got)
			}
		} else {
			a.wantError(t, 400, "one line") // it cannot be seen
		}
	}
	// What was read can be written, without what is the server's own.
	w.call("PUT", path+"/1", `{"agent_software_release": "Default (25.2.20-10)", "external_data_set": null, "labels": []}`).want(t, 204)
}

// Machines may say what they like: it is checked, and kept as it was said.
func TestHostileActivations(t *testing.T) {
	w := newWorld(t, nil)
	p := w.profile(func(p *library.Profile) { p.RoleLock = false })
	_, code := w.code(p.ID)
	const path = "/api/v18/ven/activate"
	body := func(host, role string) string {
		return fmt.Sprintf(`{"activation_code":%q,"request_id":"r","hostname":%q,"os_id":"o","version":"1","labels":{"role":%q},"new_field":[1,{"a":2}]}`, code, host, role)
	}
	for _, c := range []struct {
		name, body string
		status     int
	}{
		{"newline in the host", body("a\nb", ""), 400},
		{"long host", body(strings.Repeat("a", 256), ""), 400},
		{"newline in a label", body("a", "b\nc"), 400},
		{"code twice", `{"activation_code":"a","activation_code":"b","hostname":"h","os_id":"o","version":"1"}`, 400},
		{"huge", `{"hostname":"` + strings.Repeat("a", 1<<20) + `"}`, 413},
		{"deep", `{"x":` + strings.Repeat(`{"x":`, 30) + `1` + strings.Repeat(`}`, 31), 400},
		{"array", `[]`, 400},
		{"mode", `{"activation_code":"a","hostname":"h","os_id":"o","version":"1","enforcement_mode":"off"}`, 400},
	} {
		t.Run(c.name, func(t *testing.T) { w.plain("POST", path, c.body).wantError(t, c.status) })
	}
	const evil = `x'); DROP TABLE workloads;-- <script>{{.}}</script> $(id)`
	w.plain("POST", path, body(evil, evil)).want(t, 201)
	got := decode[struct {
		Hostname string
		Labels   []struct{ Key, Value string }
	}](t, w.call("GET", "/api/v18/orgs/1/workloads/1", "").want(t, 200))
	if got.Hostname != evil || len(got.Labels) != 1 || got.Labels[0].Value != evil {
		t.Errorf("workload %+v, want %q", got, evil)
	}
	for _, header := range []string{"", "Bearer", "Bearer ", "Basic YTpi", "Bearer \x00", "bearer x"} {
		w.plain("GET", "/api/v18/ven/agents/1/policy", "", "Authorization", header).wantError(t, 401)
	}
}

// A mistake of the program is answered, written down, and not the end.
func TestPanic(t *testing.T) {
	w := newWorld(t, func(s *server.Server) {
		s.Console = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/late" {
				w.Write([]byte("half")) //nolint:errcheck // it is cut off
			}
			panic("at /srv/secret")
		})
	})
	a := w.plain("GET", "/early", "")
	a.wantError(t, 500)
	if strings.Contains(string(a.body), "srv") || !strings.Contains(w.log.String(), "hostile_test.go") {
		t.Errorf("answer %s, log %s", a.body, w.log.String())
	}
	defer func() {
		if recover() != http.ErrAbortHandler { //nolint:errorlint // that very value
			t.Error("half an answer is taken for a whole one")
		}
	}()
	w.plain("GET", "/late", "")
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{}`, `{"enabled": true, "name": "x"}`, `{"labels": [{"key": "role", "value": "\ud800"}]}`, `[[[[`, `{"a":1}x`, "{\"\xff\":1}", `{"allowed_uses_per_key": 1e3}`} {
		f.Add(s)
	}
	w := newWorld(f, func(s *server.Server) {
		s.Limits.Requests, s.Limits.KeyRequests, s.Limits.Failures, s.Log = -1, -1, -1, nil
	})
	p := w.profile(nil)
	f.Fuzz(func(t *testing.T, body string) {
		w.t = t
		a := w.call("PUT", "/api/v1/orgs/1/pairing_profiles/1", body)
		if a.StatusCode != 204 && a.StatusCode != 400 && a.StatusCode != 415 {
			t.Errorf("status %d: %s", a.StatusCode, a.body)
		}
		now, err := w.lib.Profile(t.Context(), p.ID)
		if err != nil || now.Validate() != nil || now.ID != p.ID || now.UseCount != 0 || !now.Created.Equal(p.Created) {
			t.Errorf("profile %+v (%v)", now, err)
		}
		if b := w.plain("POST", "/api/v1/ven/activate", body); b.StatusCode < 400 || b.StatusCode >= 500 {
			t.Errorf("status %d: %s", b.StatusCode, b.body)
		}
	})
}
