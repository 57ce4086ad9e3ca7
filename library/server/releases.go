package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/vpkg/vpkg/library"
)

// releases gives those of the product, the newest first.
func (s *Server) releases(ctx context.Context, l *library.Library) ([]library.Release, error) {
	rs, err := l.Releases(ctx)
	return slices.DeleteFunc(rs, func(r library.Release) bool { return r.Product != s.Product }), err
}

type release struct {
	Version  string   `json:"version"`
	Default  bool     `json:"default"` // what machines get whose profile names no version
	VENTypes []string `json:"ven_types"`
	Images   int      `json:"images"`
}

// A releaseImage is one package.
type releaseImage struct {
	Href     string    `json:"href"` // where it is, below /api/vN
	Version  string    `json:"version"`
	Package  string    `json:"package_version"`
	OS       string    `json:"os"`
	Arch     string    `json:"arch"`
	Format   string    `json:"format"`
	Name     string    `json:"name"`
	Size     int64     `json:"size"`
	SHA256   string    `json:"sha256"`
	VENTypes []string  `json:"ven_types"`
	Imported time.Time `json:"imported_at"`
}

// venTypes: as documented, the product for Windows is for servers and endpoints, and
// that for a Linux distribution for servers.
func venTypes(i library.Image) []string {
	if i.Format == "msi" {
		return []string{"server", "endpoint"}
	}
	return []string{"server"}
}

func imageOf(i library.Image) releaseImage {
	q := url.Values{"os": {i.OS}, "arch": {i.Arch}, "version": {i.Release}}
	return releaseImage{
		Href: "/software/ven/image?" + q.Encode(), Version: i.Release, Package: i.Version, OS: i.OS, Arch: i.Arch, Format: i.Format,
		Name: i.FileName, Size: i.Size, SHA256: i.SHA256.String(), VENTypes: venTypes(i), Imported: i.Imported,
	}
}

func (s *Server) getReleases(c *call) error {
	rs, err := s.releases(c.r.Context(), c.lib)
	if err != nil {
		return err
	}
	all := []release{}
	for _, r := range rs {
		one := release{Version: r.Version, Default: r.Default, Images: len(r.Images)}
		for _, t := range []string{"server", "endpoint"} {
			if slices.ContainsFunc(r.Images, func(i library.Image) bool { return slices.Contains(venTypes(i), t) }) {
				one.VENTypes = append(one.VENTypes, t)
			}
		}
		all = append(all, one)
	}
	c.json(http.StatusOK, all)
	return nil
}

func (s *Server) getReleasesImages(c *call) error {
	rs, err := s.releases(c.r.Context(), c.lib)
	if err != nil {
		return err
	}
	all := []releaseImage{}
	for _, r := range rs {
		for _, i := range r.Images {
			all = append(all, imageOf(i))
		}
	}
	c.json(http.StatusOK, all)
	return nil
}

type versionAnswer struct {
	Version string `json:"version"`
}

func (s *Server) getDefault(c *call) error {
	v, err := s.defaultVersion(c.r.Context(), c.lib)
	if err != nil {
		return err
	}
	if v == "" {
		return refuse(http.StatusNotFound, "there is no release of %s", s.Product)
	}
	c.json(http.StatusOK, versionAnswer{v})
	return nil
}

func (s *Server) putDefault(c *call) error {
	var q struct {
		Version *string `json:"version"`
	}
	if err := s.readJSON(c, maxJSON, &q, true); err != nil {
		return err
	}
	if q.Version == nil {
		return refuse(http.StatusBadRequest, "version has to be given; an empty one means the newest, whichever that is")
	}
	if err := c.lib.SetDefault(c.r.Context(), s.Product, *q.Version); err != nil {
		return err
	}
	c.noContent()
	return nil
}

type uploadAnswer struct {
	Error    string     `json:"error,omitempty"` // of the upload as a whole, or that some were refused
	Packages []uploaded `json:"packages"`
}

// uploaded is what became of one package.
type uploaded struct {
	Name  string        `json:"name"`
	New   bool          `json:"new"`             // false: it was there already, or was refused
	Error string        `json:"error,omitempty"` // why it was refused
	Image *releaseImage `json:"image,omitempty"`
}

// postRelease imports what is sent: a package file, or the bundle that vpkg build
// writes with --bundle.
func (s *Server) postRelease(c *call) error {
	switch {
	case c.r.ContentLength < 0:
		return refuse(http.StatusLengthRequired, "Content-Length has to be given")
	case c.r.ContentLength == 0:
		return refuse(http.StatusBadRequest, "the body is empty")
	case c.r.ContentLength > s.Limits.Upload:
		return refuse(http.StatusRequestEntityTooLarge, "the file has %d bytes, the limit is %d", c.r.ContentLength, s.Limits.Upload)
	}
	s.boundUpload(c)
	// Who is still sending when the connection is closed may never see the answer, so
	// that also what is refused is read to its end.
	sending := c.r.Header.Get("Expect") == "" // else the client waits for the first read
	defer func() {
		if sending {
			io.Copy(io.Discard, c.r.Body) //nolint:errcheck // there is nobody to tell
		}
	}()
	name := c.query.Get("name")
	if name == "" {
		return refuse(http.StatusBadRequest, "name has to be given: the file's")
	}
	select {
	case s.uploads <- struct{}{}:
		defer func() { <-s.uploads }()
	default:
		return refuse(http.StatusServiceUnavailable, "others are uploading; try again later")
	}
	sending = true
	done, err := c.lib.ImportFrom(c.r.Context(), name, c.r.ContentLength, c.r.Body)
	status, answer := http.StatusOK, uploadAnswer{Packages: []uploaded{}}
	for _, d := range done {
		one := uploaded{Name: d.FileName, New: d.New}
		switch {
		case d.Err != nil:
			if isInternal(d.Err) { // the disk, or the connection: nothing that is wrong with the package
				return errors.Join(d.Err, err)
			}
			one.Error = oneLine(d.Err)
			answer.Error = "not all packages were imported"
		default:
			i := imageOf(d.Image)
			if one.Image = &i; d.New && status == http.StatusOK {
				status = http.StatusCreated
			}
		}
		answer.Packages = append(answer.Packages, one)
	}
	if err != nil {
		if isInternal(err) || c.r.Context().Err() != nil {
			return err
		}
		answer.Error = oneLine(err)
	}
	if answer.Error != "" {
		status = http.StatusUnprocessableEntity
	}
	c.json(status, answer)
	return nil
}
