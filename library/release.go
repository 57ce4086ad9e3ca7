package library

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vpkg/vpkg/packaging"
)

// An Image is one package file that is offered.
type Image struct {
	FileName string           `json:"name"`
	Product  string           `json:"package"` // the package's name: "illumio-ven"
	Release  string           `json:"release"` // the same for all systems: "25.2.20-10"
	Version  string           `json:"version"` // the package's own: "25.2.20-10.el8"
	OS       string           `json:"os"`      // the target's label: "el8"
	Arch     string           `json:"arch"`    // in the format's spelling: "x86_64"
	Format   string           `json:"format"`
	Size     int64            `json:"size"` // bytes
	SHA256   packaging.Digest `json:"sha256"`
	Imported time.Time        `json:"imported_at"`
}

// A Release is what was imported of one version of a product.
type Release struct {
	Product string
	Version string
	Default bool // it is what machines get whose profile names no version
	Chosen  bool // it was made the default; one that was not is it as the newest
	Images  []Image
}

func defaultSetting(product string) string { return "default_version " + product }

// Releases lists all, by product, the newest first.
func (l *Library) Releases(ctx context.Context) (rs []Release, err error) {
	err = l.Store.View(ctx, func(tx Tx) error {
		rs, err = l.releases(tx)
		return err
	})
	return rs, err
}

func (l *Library) releases(tx Tx) ([]Release, error) {
	images, err := tx.Images()
	if err != nil {
		return nil, err
	}
	var rs []Release
	for _, i := range images { // those of one release follow each other
		if n := len(rs) - 1; n >= 0 && rs[n].Product == i.Product && rs[n].Version == i.Release {
			rs[n].Images = append(rs[n].Images, i)
			continue
		}
		rs = append(rs, Release{Product: i.Product, Version: i.Release, Images: []Image{i}})
	}
	slices.SortStableFunc(rs, func(a, b Release) int {
		if c := strings.Compare(a.Product, b.Product); c != 0 {
			return c
		}
		return l.Compare(b.Version, a.Version)
	})
	for i, newest := range rs {
		if i > 0 && rs[i-1].Product == newest.Product {
			continue
		}
		set, err := tx.Setting(defaultSetting(newest.Product))
		if err != nil {
			return nil, err
		}
		d := slices.IndexFunc(rs, func(r Release) bool { return r.Product == newest.Product && r.Version == set })
		if d >= 0 {
			rs[d].Chosen = true
		} else {
			d = i
		}
		rs[d].Default = true
	}
	return rs, nil
}

// SetDefault makes a release the one of machines whose profile names none. An empty
// version means the newest, whichever that is.
func (l *Library) SetDefault(ctx context.Context, product, version string) error {
	return l.Store.Update(ctx, func(tx Tx) error {
		rs, err := l.releases(tx)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(rs, func(r Release) bool {
			return r.Product == product && (r.Version == version || version == "")
		}) {
			return fmt.Errorf("release %.40q of %.40q: %w", version, product, ErrNotFound)
		}
		if err := tx.SetSetting(defaultSetting(product), version); err != nil {
			return err
		}
		e := l.event(EventDefault, product)
		e.Detail = version
		return tx.AddEvent(e)
	})
}

// Remove removes a release with its packages. One that a profile names is ErrInUse, and
// so is the default, unless it is the last of its product: otherwise machines would get
// another one without anybody having said so.
func (l *Library) Remove(ctx context.Context, product, version string) error {
	err := l.Store.Update(ctx, func(tx Tx) error {
		rs, err := l.releases(tx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(rs, func(r Release) bool { return r.Product == product && r.Version == version })
		switch {
		case i < 0:
			return ErrNotFound
		case rs[i].Default && slices.ContainsFunc(rs, func(r Release) bool { return r.Product == product && r.Version != version }):
			return fmt.Errorf("%w: it is the default; make another one the default first", ErrInUse)
		}
		profiles, err := tx.Profiles()
		if err != nil {
			return err
		}
		for _, p := range profiles {
			if p.Version == version {
				return fmt.Errorf("%w: by pairing profile %d (%s)", ErrInUse, p.ID, p.Name)
			}
		}
		for _, image := range rs[i].Images {
			if err := tx.RemoveImage(image.FileName); err != nil {
				return err
			}
		}
		if rs[i].Chosen {
			if err := tx.SetSetting(defaultSetting(product), ""); err != nil {
				return err
			}
		}
		e := l.event(EventRemove, product)
		e.Detail = version + ", packages: " + strconv.Itoa(len(rs[i].Images))
		return tx.AddEvent(e)
	})
	if err != nil {
		return fmt.Errorf("release %.40q of %.40q: %w", version, product, err)
	}
	return l.Sweep(ctx)
}

// Sweep removes package files that no image has: those of a removed release, and
// what an import left behind that was killed. It is called at the start of a server.
func (l *Library) Sweep(ctx context.Context) error {
	return l.Store.Update(ctx, func(tx Tx) error { // while no import commits a file
		images, err := tx.Images()
		if err != nil {
			return err
		}
		return l.Packages.Sweep(ctx, func(d packaging.Digest) bool {
			return slices.ContainsFunc(images, func(i Image) bool { return i.SHA256 == d })
		})
	})
}

// Choose gives the package for a machine: of the version that its profile names, or
// else of the product's default. Profile 0 means none. A
// version that has no package for the system is ErrNotFound, which names those it
// has: another version is not taken instead.
func (l *Library) Choose(ctx context.Context, profile int64, product, system, arch string) (Image, error) {
	r, err := l.Release(ctx, profile, product)
	if err != nil {
		return Image{}, err
	}
	return r.Image(system, arch)
}

// ChooseOf is Choose with the version that a machine asks for itself.
func (l *Library) ChooseOf(ctx context.Context, product, version, system, arch string) (Image, error) {
	rs, err := l.Releases(ctx)
	if err != nil {
		return Image{}, err
	}
	i := slices.IndexFunc(rs, func(r Release) bool { return r.Product == product && r.Version == version })
	if i < 0 {
		return Image{}, fmt.Errorf("release %.40q of %s: %w", version, product, ErrNotFound)
	}
	return rs[i].Image(system, arch)
}

// Image gives the package for a system. ErrNotFound names those that there are.
func (r Release) Image(system, arch string) (Image, error) {
	var has []string
	for _, i := range r.Images {
		if i.OS == system && i.Arch == arch {
			return i, nil
		}
		has = append(has, i.OS+"/"+i.Arch)
	}
	return Image{}, fmt.Errorf("%s %s has no package for %.40q on %.40q: %w; it has %s",
		r.Product, r.Version, system, arch, ErrNotFound, strings.Join(has, ", "))
}

// Release gives the release that Choose chooses from.
func (l *Library) Release(ctx context.Context, profile int64, product string) (r Release, err error) {
	err = l.Store.View(ctx, func(tx Tx) error {
		r, err = l.choose(tx, profile, product)
		return err
	})
	return r, err
}

func (l *Library) choose(tx Tx, profile int64, product string) (Release, error) {
	rs, err := l.releases(tx)
	if err != nil {
		return Release{}, err
	}
	rs = slices.DeleteFunc(rs, func(r Release) bool { return r.Product != product })
	if len(rs) == 0 {
		return Release{}, fmt.Errorf("there is no release of %.40q: %w", product, ErrNotFound)
	}
	want := ""
	if profile != 0 {
		p, err := tx.Profile(profile)
		if err != nil {
			return Release{}, fmt.Errorf("pairing profile %d: %w", profile, err)
		}
		want = p.Version
	}
	i := slices.IndexFunc(rs, func(r Release) bool { return r.Version == want || want == "" && r.Default })
	if i < 0 {
		return Release{}, fmt.Errorf("release %q of %s: %w", want, product, ErrNotFound)
	}
	return rs[i], nil
}

// Open opens the package file of that name.
func (l *Library) Open(ctx context.Context, name string) (image Image, f File, err error) {
	err = l.Store.View(ctx, func(tx Tx) error {
		images, err := tx.Images()
		if err != nil {
			return err
		}
		i := slices.IndexFunc(images, func(i Image) bool { return i.FileName == name })
		if i < 0 {
			return fmt.Errorf("package %.80q: %w", name, ErrNotFound)
		}
		image = images[i]
		return nil
	})
	if err != nil {
		return Image{}, nil, err
	}
	if f, err = l.file(ctx, image); err != nil {
		return Image{}, nil, err
	}
	return image, f, nil
}

// file opens the file of a package that is offered. One that is not there is no fault
// of whoever asks, and so not ErrNotFound.
func (l *Library) file(ctx context.Context, i Image) (File, error) {
	f, size, err := l.Packages.Open(ctx, i.SHA256)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, fmt.Errorf("package %s: its file %s is missing in the store", i.FileName, i.SHA256)
	case err != nil:
		return nil, fmt.Errorf("package %s: %w", i.FileName, err)
	case size != i.Size:
		return nil, errors.Join(fmt.Errorf("package %s has %d bytes in the store, want %d", i.FileName, size, i.Size), f.Close())
	}
	return f, nil
}
