package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/vpkg/vpkg/library"
	"github.com/vpkg/vpkg/templates/pairing"
)

// getImage sends a pairing script or a package. Both are for machines that have no
// credentials yet.
func (s *Server) getImage(c *call) error {
	q := c.query
	var profile int64
	if q.Has("profile_id") {
		var ok bool
		if profile, ok = number(q.Get("profile_id")); !ok {
			return refuse(http.StatusBadRequest, "profile_id has to be the number of a pairing profile")
		}
	}
	if q.Has("pair_script") {
		if q.Has("os") || q.Has("arch") || q.Has("version") {
			return refuse(http.StatusBadRequest, "pair_script does not go with os, arch and version")
		}
		return s.sendScript(c, scriptKey{q.Get("pair_script"), c.api, profile})
	}
	system, arch := q.Get("os"), q.Get("arch")
	if system == "" || arch == "" {
		return refuse(http.StatusBadRequest, "pair_script, or os and arch have to be given")
	}
	ctx := c.r.Context()
	var image library.Image
	var err error
	if v := q.Get("version"); v != "" {
		image, err = c.lib.ChooseOf(ctx, s.Product, v, system, arch)
	} else {
		image, err = c.lib.Choose(ctx, profile, s.Product, system, arch)
	}
	if err != nil {
		return err
	}
	return s.sendPackage(c, image)
}

func (s *Server) sendPackage(c *call, image library.Image) error {
	image, f, err := c.lib.Open(c.r.Context(), image.FileName)
	if err != nil {
		return err
	}
	defer f.Close()
	h := c.w.Header()
	h.Set("Content-Type", mediaType(image.Format))
	h.Set("Content-Disposition", `attachment; filename="`+image.FileName+`"`) // letters, digits and ._+~^-
	h.Set("Cache-Control", "no-cache")                                        // but to be kept
	setDigest(h, image.SHA256.String())
	// The date has whole seconds, and says less than the ETag.
	http.ServeContent(c.w, c.r, "", time.Time{}, f)
	return nil
}

func setDigest(h http.Header, sum string) {
	h.Set("ETag", `"`+sum+`"`)
	h.Set("X-Checksum-Sha256", sum)
}

func mediaType(format string) string {
	switch format {
	case "rpm":
		return "application/x-rpm"
	case "deb":
		return "application/vnd.debian.binary-package"
	case "msi":
		return "application/x-msi"
	}
	return "application/octet-stream"
}

type scriptKey struct {
	name    string
	api     int
	profile int64
}

// A rendered script is as good as the state that it was made from.
type rendered struct {
	text []byte
	sum  string // SHA-256
}

// maxScripts is how many are kept. There is one for each profile and version of the
// API that are in use.
const maxScripts = 256

// scriptCache keeps the scripts of one state.
type scriptCache struct {
	mu    sync.Mutex
	state int64
	of    map[scriptKey]rendered
}

func (c *scriptCache) get(state int64, k scriptKey) (rendered, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.of[k]
	return r, ok && c.state == state
}

func (c *scriptCache) put(state int64, k scriptKey, r rendered) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != state || len(c.of) >= maxScripts || c.of == nil {
		c.state, c.of = state, map[scriptKey]rendered{}
	}
	c.of[k] = r
}

func (s *Server) sendScript(c *call, k scriptKey) error {
	var render func(pairing.Script) []byte
	switch k.name {
	case "pair.sh":
		render = pairing.Script.Linux
	case "pair.ps1":
		render = pairing.Script.Windows
	default:
		return refuse(http.StatusNotFound, "there are two scripts, pair.sh and pair.ps1")
	}
	r, err := s.script(c, k, render)
	if err != nil {
		return err
	}
	h := c.w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	setDigest(h, r.sum)
	http.ServeContent(c.w, c.r, "", time.Time{}, bytes.NewReader(r.text))
	return nil
}

// script renders one, or gives the one that was rendered since the last change.
func (s *Server) script(c *call, k scriptKey, render func(pairing.Script) []byte) (rendered, error) {
	ctx := c.r.Context()
	state, err := c.lib.State(ctx) // before what is read for it
	if err != nil {
		return rendered{}, err
	}
	if r, ok := s.scripts.get(state, k); ok {
		return r, nil
	}
	text, err := s.render(ctx, c.lib, k, render)
	if err != nil {
		return rendered{}, err
	}
	sum := sha256.Sum256(text)
	r := rendered{text, hex.EncodeToString(sum[:])}
	s.scripts.put(state, k, r)
	return r, nil
}

func (s *Server) render(ctx context.Context, l *library.Library, k scriptKey, render func(pairing.Script) []byte) ([]byte, error) {
	release, err := l.Release(ctx, k.profile, s.Product)
	if err != nil {
		if errors.Is(err, library.ErrNotFound) && k.profile != 0 {
			if _, perr := l.Profile(ctx, k.profile); errors.Is(perr, library.ErrNotFound) {
				return nil, refuse(http.StatusNotFound, "there is no pairing profile %d", k.profile)
			}
		}
		return nil, err
	}
	script := pairing.Script{API: k.api, Profile: k.profile, Product: s.Product, Version: release.Version}
	for _, i := range release.Images {
		script.Images = append(script.Images, pairing.Image{
			OS: i.OS, Arch: i.Arch, Format: i.Format, Version: i.Version, FileName: i.FileName, Size: i.Size, SHA256: i.SHA256.String(),
		})
	}
	return render(script), nil
}
