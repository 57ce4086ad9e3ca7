package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vpkg/vpkg/templates/pairing"
)

// images answers requests for packages and pairing scripts out of a folder that
// `vpkg build` wrote. Its file "faults", read at each request, says what goes wrong:
//
//	cut BYTES       each answer ends after so many bytes, in the middle of a connection
//	corrupt         the first byte of a package is another one
//	clock DURATION  the server's clock is ahead by that
//	missing         there are no packages
type images struct {
	dir string
	ca  []byte // served as /ca.crt
}

// answer answers the request if it is one of those.
func (i images) answer(w http.ResponseWriter, r *http.Request) bool {
	faults := i.faults()
	if d, err := time.ParseDuration(faults["clock"]); err == nil {
		w.Header().Set("Date", time.Now().Add(d).UTC().Format(http.TimeFormat))
	}
	if r.URL.Path == "/ca.crt" {
		_, _ = w.Write(i.ca) // the client is gone
		return true
	}
	if !strings.HasSuffix(r.URL.Path, "/software/ven/image") {
		return false
	}
	offered, err := i.read()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return true
	}
	q := r.URL.Query()
	if q.Get("pair_script") == "pair.sh" {
		profile, err := strconv.ParseInt(q.Get("profile_id"), 10, 64)
		if err != nil {
			profile = 0
		}
		_, _ = w.Write(pairing.Script{API: 18, Profile: profile, Product: "illumio-ven", Version: release(offered), Images: offered}.Linux())
		return true
	}
	for _, image := range offered {
		_, missing := faults["missing"]
		if image.OS == q.Get("os") && image.Arch == q.Get("arch") && strings.TrimSuffix(image.Version, "."+image.OS) == q.Get("version") && !missing {
			i.send(w, r, image, faults)
			return true
		}
	}
	http.Error(w, `{"error": "there is no such package"}`, http.StatusNotFound)
	return true
}

func (i images) faults() map[string]string {
	text, err := os.ReadFile(filepath.Join(i.dir, "faults"))
	if err != nil {
		return nil
	}
	faults := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		faults[name] = value
	}
	return faults
}

func (i images) read() (offered []pairing.Image, err error) {
	b, err := os.ReadFile(filepath.Join(i.dir, "artifacts.json"))
	if err != nil {
		return nil, err
	}
	var entries []struct {
		Name, Format, Version, OS, Arch, SHA256 string
		Size                                    int64
	}
	if err := json.Unmarshal(b, &entries); err != nil {
		return nil, fmt.Errorf("artifacts.json: %w", err)
	}
	for _, e := range entries {
		offered = append(offered, pairing.Image{
			OS: e.OS, Arch: e.Arch, Format: e.Format, Version: e.Version, FileName: e.Name, Size: e.Size, SHA256: e.SHA256,
		})
	}
	return offered, nil
}

func release(offered []pairing.Image) string {
	if len(offered) == 0 {
		return ""
	}
	return strings.TrimSuffix(offered[0].Version, "."+offered[0].OS)
}

func (i images) send(w http.ResponseWriter, r *http.Request, image pairing.Image, faults map[string]string) {
	body, err := os.ReadFile(filepath.Join(i.dir, image.FileName))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if _, corrupt := faults["corrupt"]; corrupt {
		body[0] ^= 1
	}
	w.Header().Set("X-Checksum-Sha256", image.SHA256)
	w.Header().Set("ETag", `"`+image.SHA256+`"`)
	w.Header().Set("Content-Type", "application/octet-stream")
	if most, err := strconv.Atoi(faults["cut"]); err == nil && r.Method == http.MethodGet {
		w = &cut{w, most}
	}
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(body)))
}

// A cut breaks the connection off.
type cut struct {
	http.ResponseWriter
	left int
}

func (c *cut) Write(b []byte) (int, error) {
	if len(b) < c.left {
		c.left -= len(b)
		return c.ResponseWriter.Write(b)
	}
	if _, err := c.ResponseWriter.Write(b[:c.left]); err == nil {
		_ = http.NewResponseController(c.ResponseWriter).Flush() // it breaks off anyway
	}
	panic(http.ErrAbortHandler)
}
