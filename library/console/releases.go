package console

import (
	"net/http"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/library"
)

func (h *handler) home(v *visit) error {
	http.Redirect(v.w, v.r, "/workloads", http.StatusSeeOther)
	return nil
}

// A releaseTable has a row for each version and a column for each system.
type releaseTable struct {
	Product string
	Systems []system
	Rows    []releaseRow
	Newest  bool // machines get the newest, for no default is set
}

// A system is the columns of one.
type system struct {
	OS    string
	Archs []string
}

type releaseRow struct {
	library.Release
	Cells []*library.Image // by system and architecture; nil where there is no package
}

func (h *handler) releases(v *visit) error {
	all, err := v.lib.Releases(v.r.Context())
	if err != nil {
		return err
	}
	h.show(v, http.StatusOK, "releases", "Releases", tables(all))
	return nil
}

// tables makes one of each product.
func tables(all []library.Release) (ts []*releaseTable) {
	for _, r := range all {
		if n := len(ts); n == 0 || ts[n-1].Product != r.Product {
			ts = append(ts, &releaseTable{Product: r.Product, Newest: true})
		}
		t := ts[len(ts)-1]
		t.Rows = append(t.Rows, releaseRow{Release: r})
		t.Newest = t.Newest && !r.Chosen
		for _, i := range r.Images {
			t.add(i.OS, i.Arch)
		}
	}
	for _, t := range ts {
		for i := range t.Rows {
			t.Rows[i].fill(t.Systems)
		}
	}
	return ts
}

func (t *releaseTable) add(name, arch string) {
	i, found := slices.BinarySearchFunc(t.Systems, name, func(s system, n string) int { return strings.Compare(s.OS, n) })
	if !found {
		t.Systems = slices.Insert(t.Systems, i, system{OS: name})
	}
	s := &t.Systems[i]
	if j, found := slices.BinarySearch(s.Archs, arch); !found {
		s.Archs = slices.Insert(s.Archs, j, arch)
	}
}

func (r *releaseRow) fill(all []system) {
	for _, s := range all {
		for _, arch := range s.Archs {
			var cell *library.Image
			for i := range r.Images {
				if r.Images[i].OS == s.OS && r.Images[i].Arch == arch {
					cell = &r.Images[i]
				}
			}
			r.Cells = append(r.Cells, cell)
		}
	}
}

func (h *handler) release(v *visit) error {
	all, err := v.lib.Releases(v.r.Context())
	if err != nil {
		return err
	}
	product, version := v.r.URL.Query().Get("product"), v.r.PathValue("version")
	i := slices.IndexFunc(all, func(r library.Release) bool {
		return r.Version == version && (r.Product == product || product == "")
	})
	if i < 0 {
		return library.ErrNotFound
	}
	r := all[i]
	h.show(v, http.StatusOK, "release", r.Product+" "+r.Version, struct {
		library.Release
		Downloads bool // the API offers its packages
		Last      bool // of its product
	}{r, r.Product == h.Product, !slices.ContainsFunc(all, func(o library.Release) bool {
		return o.Product == r.Product && o.Version != r.Version
	})})
	return nil
}

func (h *handler) setDefault(v *visit) error {
	product, version := v.form("product"), v.form("version")
	if err := v.lib.SetDefault(v.r.Context(), product, version); err != nil {
		return err
	}
	if version == "" {
		return done(v, "/releases", "Machines get the newest release of "+product+" now.")
	}
	return done(v, "/releases", "Machines get "+product+" "+version+" now.")
}

func (h *handler) removeRelease(v *visit) error {
	product, version := v.form("product"), v.form("version")
	if err := v.lib.Remove(v.r.Context(), product, version); err != nil {
		return err
	}
	return done(v, "/releases", product+" "+version+" is removed.")
}
