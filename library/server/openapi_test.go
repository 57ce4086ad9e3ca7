package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/vpkg/vpkg/library"
	"github.com/vpkg/vpkg/library/server"
)

// A document is openapi.json, and what of it was seen.
type document struct {
	t    testing.TB
	doc  *openapi3.T
	mux  *http.ServeMux
	seen map[string]bool // "GET /path 200"
}

func newDocument(t testing.TB) *document {
	t.Helper()
	text, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	d := &document{t: t, mux: http.NewServeMux(), seen: map[string]bool{}}
	if d.doc, err = openapi3.NewLoader().LoadFromData(text); err != nil {
		t.Fatal(err)
	}
	if err := d.doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for path, item := range d.doc.Paths.Map() {
		for method := range item.Operations() {
			d.mux.HandleFunc(method+" "+path, func(http.ResponseWriter, *http.Request) {})
		}
	}
	for _, t := range []string{"application/x-rpm", "application/vnd.debian.binary-package", "application/x-msi", "application/x-pem-file"} {
		openapi3filter.RegisterBodyDecoder(t, openapi3filter.FileBodyDecoder)
	}
	return d
}

// check holds one request and its answer to the document.
func (d *document) check(r *http.Request, sent []byte, a *http.Response, got []byte) {
	d.t.Helper()
	r = r.Clone(context.Background())
	_, pattern := d.mux.Handler(r)
	if pattern == "" {
		if a.StatusCode != http.StatusNotFound && a.StatusCode != http.StatusMethodNotAllowed {
			d.t.Errorf("%s %s is answered with %d, and not in the document", r.Method, r.URL, a.StatusCode)
		}
		return
	}
	d.mux.ServeHTTP(httptest.NewRecorder(), r) // sets the path values
	method, path, _ := strings.Cut(pattern, " ")
	item := d.doc.Paths.Find(path)
	in := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: map[string]string{},
		Route:   &routers.Route{Spec: d.doc, Path: path, PathItem: item, Method: method, Operation: item.GetOperation(method)},
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true},
	}
	for _, name := range []string{"v", "org", "id", "key"} {
		if v := r.PathValue(name); v != "" {
			in.PathParams[name] = v
		}
	}
	if a.StatusCode < 400 {
		r.Body = io.NopCloser(bytes.NewReader(sent))
		if err := openapi3filter.ValidateRequest(context.Background(), in); err != nil {
			d.t.Errorf("%s %s was taken, and the document says: %v", r.Method, r.URL, err)
		}
	}
	if r.Method == http.MethodHead {
		return
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: a.StatusCode, Header: a.Header, Options: in.Options}
	out.SetBodyBytes(got)
	if err := openapi3filter.ValidateResponse(context.Background(), out); err != nil {
		d.t.Errorf("%s %s is answered with %d %.300q: %v", r.Method, r.URL, a.StatusCode, got, err)
	}
	d.seen[fmt.Sprintf("%s %d", pattern, a.StatusCode)] = true
}

// Every route is in the document, and nothing else is.
func TestDocumentHasAllRoutes(t *testing.T) {
	d := newDocument(t)
	var documented []string
	for path, item := range d.doc.Paths.Map() {
		for method := range item.Operations() {
			documented = append(documented, method+" "+path)
		}
	}
	routes := new(server.Server).Patterns()
	slices.Sort(documented)
	slices.Sort(routes)
	if !slices.Equal(documented, routes) {
		t.Errorf("documented %q\nroutes %q", documented, routes)
	}
}

// example is a path of an operation with values in it, for a profile, key and agent 1.
func example(path string) string {
	return strings.NewReplacer("{v}", "v25", "{org}", "1", "{id}", "1", "{key}", "1").Replace(path)
}

// bodies are of operations that have one.
var bodies = map[string]string{
	"POST /api/{v}/software/ven/releases":                        "fake rpm illumio-ven 25.2.20 10.el9 x86_64\n",
	"PUT /api/{v}/orgs/{org}/software/vens/default":              `{"version": "25.2.20-10"}`,
	"POST /api/{v}/orgs/{org}/pairing_profiles":                  `{"enabled": true, "name": "another"}`,
	"PUT /api/{v}/orgs/{org}/pairing_profiles/{id}":              `{"description": "changed"}`,
	"POST /api/{v}/orgs/{org}/pairing_profiles/{id}/pairing_key": `{}`,
	"PUT /api/{v}/orgs/{org}/policies":                           `{"enforcement_mode": "visibility_only"}`,
	"POST /api/{v}/ven/activate":                                 `{"activation_code": "none", "hostname": "h", "os_id": "debian-x86_64-13", "version": "1"}`,
	"POST /api/{v}/ven/agents/{id}/heartbeat":                    `{"version": "1", "state": "idle"}`,
}

var queries = map[string]string{
	"GET /api/{v}/software/ven/image":     "?os=el8&arch=x86_64",
	"POST /api/{v}/software/ven/releases": "?name=ven.el9.rpm",
}

// slow is a body that does not come.
type slow struct{}

func (slow) Read([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }

// broken is a Store with which something is wrong, of which nobody is to be told.
type broken struct{ library.Store }

var errBroken = errors.New("database disk image is malformed at /srv/secret")

func (broken) View(context.Context, func(library.Tx) error) error   { return errBroken }
func (broken) Update(context.Context, func(library.Tx) error) error { return errBroken }
func (broken) State(context.Context) (int64, error)                 { return 0, errBroken }

// full is a disk without room.
type full struct{ library.Packages }

func (full) Create(context.Context) (library.Upload, error) {
	return nil, &os.PathError{Op: "open", Path: "/srv/secret/.upload-1", Err: syscall.ENOSPC}
}

// fullStore is a state on such a disk.
type fullStore struct{ library.Store }

func (fullStore) Update(context.Context, func(library.Tx) error) error {
	return &os.PathError{Op: "write", Path: "/srv/secret/state.db", Err: syscall.ENOSPC}
}

// Every status that is documented for an operation is provoked; and every answer is as
// the document says.
func TestDocument(t *testing.T) {
	d := newDocument(t)
	general(t, d)
	story(t, d)
	for path, item := range d.doc.Paths.Map() {
		for method, op := range item.Operations() {
			for status := range op.Responses.Map() {
				if want := method + " " + path + " " + status; !d.seen[want] {
					t.Errorf("%s is documented and was never seen", want)
				}
			}
		}
	}
	t.Logf("%d operations and statuses seen", len(d.seen))
}

// general provokes what most operations have in common.
func general(t *testing.T, d *document) {
	worlds := map[string]func(*server.Server){
		"": nil, "429": func(s *server.Server) { s.Limits.Requests, s.Limits.RequestsBurst = 1e-9, -1 },
		"503": func(s *server.Server) { s.Limits.Concurrent = -1 },
		"500": nil,
		"507": nil,
	}
	in := map[string]*world{}
	for _, name := range slices.Sorted(maps.Keys(worlds)) {
		w := newWorld(t, func(s *server.Server) {
			s.Limits.Failures, s.Limits.KeyRequests = -1, -1
			if worlds[name] != nil {
				worlds[name](s)
			}
		})
		w.seen = d.check
		in[name] = w
	}
	in[""].profile(nil)
	in["500"].lib.Store = broken{in["500"].lib.Store}
	in["507"].code(in["507"].profile(nil).ID)
	in["507"].lib.Packages, in["507"].lib.Store = full{}, fullStore{in["507"].lib.Store}
	for path, item := range d.doc.Paths.Map() {
		for method, op := range item.Operations() {
			name := method + " " + path
			documented := func(status string) bool { return op.Responses.Value(status) != nil }
			ask := func(w *world, change func(*http.Request)) answer {
				r := w.request(method, example(path)+queries[name], bodies[name])
				if op.Security != nil && len(*op.Security) > 0 && (*op.Security)[0]["agent"] != nil {
					r.Header.Set("Authorization", "Bearer none")
				}
				if change != nil {
					change(r)
				}
				return w.do(r)
			}
			try := func(status, world string, change func(*http.Request)) {
				if !documented(status) {
					return
				}
				a := ask(in[world], change)
				if got := fmt.Sprint(a.StatusCode); got != status {
					t.Errorf("%s: %s, want %s: %s", name, got, status, a.body)
				}
				if strings.Contains(string(a.body), "/srv") {
					t.Errorf("%s: %q tells of the server's inside", name, a.body)
				}
			}
			try("429", "429", nil)
			if !strings.HasSuffix(path, "/readyz") {
				try("503", "503", nil)
			}
			try("500", "500", nil)
			try("507", "507", nil)
			try("400", "", func(r *http.Request) { r.URL.RawQuery += "&nonsense=1" })
			if strings.Contains(path, "{v}") {
				try("404", "", func(r *http.Request) { r.URL.Path = strings.Replace(r.URL.Path, "/v25/", "/v0/", 1) })
			}
			try("401", "", func(r *http.Request) { r.Header.Del("Authorization") })
			try("403", "", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") })
			if documented("415") {
				try("413", "", func(r *http.Request) {
					r.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"a":"`), strings.NewReader(strings.Repeat("a", 13<<20))))
				})
				try("415", "", func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") })
			}
			try("408", "", func(r *http.Request) { r.Body = io.NopCloser(slow{}) })
		}
	}
}

// story goes through the operations as a pipeline, a machine and those who watch do.
func story(t *testing.T, d *document) {
	w := newWorld(t, func(s *server.Server) { s.CA = []byte("-----BEGIN CERTIFICATE-----\n"); s.Limits.Failures = -1 })
	w.seen = d.check
	const api, org = "/api/v25", "/api/v25/orgs/1"
	upload := func(name, text string) answer {
		r := w.request("POST", api+"/software/ven/releases?name="+name, text)
		r.Header.Set("Content-Type", "application/octet-stream")
		return w.do(r)
	}
	w.call("GET", org+"/software/vens/default", "").wantError(t, 404)
	const text = "fake rpm illumio-ven 25.2.20 10.el8 x86_64\n"
	upload("ven.el8.rpm", text).want(t, 201)
	upload("ven.el8.rpm", text).want(t, 200)
	upload("ven.el9.rpm", "no package").want(t, 422)
	r := w.request("POST", api+"/software/ven/releases?name=a.rpm", "x")
	r.ContentLength = -1
	w.do(r).wantError(t, 411)
	r = w.request("POST", api+"/software/ven/releases?name=a.rpm", "x")
	r.ContentLength = 5 << 30
	w.do(r).wantError(t, 413)
	for _, base := range []string{api, org} {
		w.call("GET", base+"/software/ven/releases", "").want(t, 200)
		w.call("GET", base+"/software/ven/releases-images", "").want(t, 200)
	}
	w.call("PUT", org+"/software/vens/default", `{"version": "25.2.20-10"}`).want(t, 204)
	w.call("GET", org+"/software/vens/default", "").want(t, 200)

	w.call("GET", org+"/pairing_profiles", "").want(t, 200)
	made := decode[map[string]any](t, w.call("POST", org+"/pairing_profiles", `{"enabled": true, "name": "servers", "labels": [{"key": "role", "value": "Web"}]}`).want(t, 201))
	href := "/api/v25" + fmt.Sprint(made["href"])
	w.call("POST", org+"/pairing_profiles", `{"enabled": true, "name": "servers"}`).wantError(t, 409, "servers")
	w.call("POST", org+"/pairing_profiles", `{"enabled": true, "name": "others"}`).want(t, 201)
	w.call("PUT", href, `{"name": "others"}`).wantError(t, 409)
	w.call("PUT", href, `{"allowed_uses_per_key": 5, "key_lifespan": "unlimited"}`).want(t, 204)
	w.call("GET", href, "").want(t, 200)
	w.call("GET", org+"/pairing_profiles?max_results=1", "").want(t, 200)
	code := decode[map[string]string](t, w.call("POST", href+"/pairing_key", "{}").want(t, 201))["activation_code"]
	w.call("GET", href+"/pairing_keys", "").want(t, 200)

	image := api + "/software/ven/image?"
	for _, q := range []string{"pair_script=pair.sh", "pair_script=pair.sh&profile_id=1", "os=el8&arch=x86_64", "os=el8&arch=x86_64&version=25.2.20-10"} {
		a := w.plain("GET", image+q, "").want(t, 200)
		w.plain("GET", image+q, "", "If-None-Match", a.Header.Get("ETag")).want(t, 304)
		w.plain("GET", image+q, "", "Range", "bytes=5-").want(t, 206)
		w.plain("GET", image+q, "", "Range", "bytes=99999999-").want(t, 416)
		w.plain("HEAD", image+q, "").want(t, 200)
	}

	activate := `{"activation_code": "` + code + `", "request_id": "r1", "hostname": "web1", "os_id": "debian-x86_64-13", "version": "25.2.20-10", "formats": ["nftables"]}`
	agent := decode[map[string]any](t, w.plain("POST", api+"/ven/activate", activate).want(t, 201))
	base, bearer := fmt.Sprint(api, "/ven/agents/", agent["agent_id"]), fmt.Sprint("Bearer ", agent["token"])
	w.plain("GET", base+"/policy", "", "Authorization", bearer).wantError(t, 409)
	w.call("GET", org+"/policies", "").want(t, 200)
	w.call("PUT", org+"/policies", `{"enforcement_mode": "visibility_only", "format": "nftables", "nftables": "table inet a {}"}`).want(t, 200)
	w.call("GET", org+"/policies", "").want(t, 200)
	w.plain("POST", api+"/ven/activate", activate).want(t, 201) // again, with the policy
	w.plain("POST", base+"/heartbeat", `{"version": "25.2.20-10", "state": "idle"}`, "Authorization", bearer).want(t, 200)
	w.plain("GET", base+"/policy", "", "Authorization", bearer).want(t, 200)
	w.plain("POST", base+"/goodbye", "", "Authorization", bearer).want(t, 204)
	for _, kind := range []string{"/workloads", "/vens"} {
		w.call("GET", org+kind, "").want(t, 200)
		w.call("GET", org+kind+"/1", "").want(t, 200)
	}
	w.plain("POST", base+"/deactivate", "", "Authorization", bearer).want(t, 204)
	w.plain("POST", base+"/heartbeat", `{"version": "25.2.20-10", "state": "idle"}`, "Authorization", bearer).wantError(t, 404)

	activate = strings.Replace(activate, `"r1"`, `"r2"`, 1)
	w.plain("POST", api+"/ven/activate", activate).want(t, 201)
	w.call("DELETE", org+"/workloads/2", "").want(t, 204)
	w.call("DELETE", org+"/workloads/2", "").wantError(t, 404)
	w.call("DELETE", href+"/pairing_keys/1", "").want(t, 204)
	w.call("DELETE", href+"/pairing_keys/9", "").wantError(t, 404)
	w.call("DELETE", href, "").want(t, 204)
	w.call("DELETE", href, "").wantError(t, 404)
	w.call("GET", org+"/events", "").want(t, 200)
	w.call("GET", org+"/events?max_results=2&before=5", "").want(t, 200)

	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/ca.crt", "/api/openapi.json"} {
		w.plain("GET", path, "").want(t, 200)
	}
	bare := newWorld(t, nil)
	bare.seen = d.check
	bare.plain("GET", "/ca.crt", "").wantError(t, 404)
	bare.lib.Packages = full{}
	bare.plain("GET", "/readyz", "").wantError(t, 503)
}
