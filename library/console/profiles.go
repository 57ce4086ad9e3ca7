package console

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/library"
	"github.com/vpkg/vpkg/templates/pairing"
)

func (h *handler) profiles(v *visit) error {
	ps, err := v.lib.Profiles(v.r.Context())
	if err != nil {
		return err
	}
	h.show(v, http.StatusOK, "profiles", "Pairing profiles", ps)
	return nil
}

// A profileForm is what is in the fields, right or wrong.
type profileForm struct {
	library.Profile
	Uses, Lifespan string
	Versions       []string
	Problems       map[string]string // by field; "" is of none
}

// Problem is what is wrong with a field.
func (f profileForm) Problem(field string) string { return f.Problems[field] }

func formOf(p library.Profile) profileForm {
	f := profileForm{Profile: p}
	if p.UsesPerKey != 0 {
		f.Uses = p.UsesPerKey.String()
	}
	if p.KeyLifespan != 0 {
		f.Lifespan = p.KeyLifespan.String()
	}
	return f
}

func (h *handler) newProfile(v *visit) error {
	return h.showForm(v, http.StatusOK, formOf(library.NewProfile("")))
}

func (h *handler) showForm(v *visit, status int, f profileForm) error {
	all, err := v.lib.Releases(v.r.Context())
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.Product == h.Product {
			f.Versions = append(f.Versions, r.Version)
		}
	}
	if f.Version != "" && !slices.Contains(f.Versions, f.Version) {
		f.Versions = append(f.Versions, f.Version)
	}
	title := "New pairing profile"
	if f.ID != 0 {
		title = "Edit " + f.Name
	}
	h.show(v, status, "profile-form", title, f)
	return nil
}

// read takes over what was typed.
func (f *profileForm) read(v *visit) {
	has := func(name string) bool { return v.form(name) != "" }
	f.Problems = map[string]string{}
	f.Name = v.form("name")
	f.Description = strings.ReplaceAll(v.form("description"), "\r\n", "\n")
	f.Enabled = has("enabled")
	f.Mode, f.ModeLock = v.form("enforcement_mode"), has("enforcement_mode_lock")
	f.Visibility, f.VisibilityLock = v.form("visibility_level"), has("visibility_level_lock")
	f.Labels = library.Labels{Role: v.form("role"), App: v.form("app"), Env: v.form("env"), Loc: v.form("loc")}
	f.RoleLock, f.AppLock, f.EnvLock, f.LocLock = has("role_lock"), has("app_lock"), has("env_lock"), has("loc_lock")
	f.Version, f.VENType = v.form("agent_software_release"), v.form("ven_type")
	f.ExternalDataSet, f.ExternalDataReference = v.form("external_data_set"), v.form("external_data_reference")
	f.Uses, f.Lifespan = v.form("allowed_uses_per_key"), v.form("key_lifespan")
	f.UsesPerKey = f.limit("allowed_uses_per_key", f.Uses)
	f.KeyLifespan = f.limit("key_lifespan", f.Lifespan)
}

// limit reads a number; an empty field means that there is no limit.
func (f *profileForm) limit(field, s string) library.Limit {
	if s == "" {
		return 0
	}
	n, err := library.ParseLimit(s)
	if err != nil {
		f.Problems[field] = upper(err.Error())
	}
	return n
}

// fields are the words with which Validate begins what it says of each.
var fields = []string{
	"name", "description", "enforcement_mode", "visibility_level", "ven_type", "allowed_uses_per_key", "key_lifespan",
	"agent_software_release", "external_data_set", "external_data_reference", "label role", "label app", "label env", "label loc",
	noRelease,
}

// noRelease begins what SaveProfile says of a version that was not imported.
const noRelease = "there is no release"

// refused sorts what was refused by field.
func (f *profileForm) refused(err error) {
	_, text, ok := strings.Cut(err.Error(), library.ErrInvalid.Error()+": ")
	if !ok {
		text = err.Error()
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		field := ""
		for _, name := range fields {
			if strings.HasPrefix(line, name+" ") {
				field = strings.TrimPrefix(name, "label ")
			}
		}
		if field == noRelease {
			field = "agent_software_release"
		}
		f.Problems[field] = strings.TrimSpace(f.Problems[field] + " " + upper(line) + ".")
	}
}

// save saves what was typed, or shows it again with what is wrong.
func (h *handler) save(v *visit, f profileForm, said string) error {
	f.read(v)
	if err := f.Validate(); err != nil {
		f.refused(err)
	}
	if len(f.Problems) == 0 {
		p, err := v.lib.SaveProfile(v.r.Context(), f.Profile)
		switch {
		case err == nil:
			return done(v, fmt.Sprintf("/profiles/%d", p.ID), p.Name+said)
		case errors.Is(err, library.ErrExists):
			f.Problems["name"] = "Another profile has this name."
		case errors.Is(err, library.ErrInvalid):
			f.refused(err)
		default:
			return err
		}
	}
	return h.showForm(v, http.StatusUnprocessableEntity, f)
}

func (h *handler) createProfile(v *visit) error {
	return h.save(v, profileForm{Profile: library.NewProfile("")}, " is made. Next: make a key, and copy its line.")
}

func (h *handler) editProfile(v *visit) error {
	p, err := h.profileOf(v)
	if err != nil {
		return err
	}
	return h.showForm(v, http.StatusOK, formOf(p))
}

func (h *handler) updateProfile(v *visit) error {
	p, err := h.profileOf(v)
	if err != nil {
		return err
	}
	return h.save(v, profileForm{Profile: p}, " is saved.")
}

func (h *handler) profileOf(v *visit) (library.Profile, error) {
	id, err := v.id()
	if err != nil {
		return library.Profile{}, err
	}
	return v.lib.Profile(v.r.Context(), id)
}

func (h *handler) profile(v *visit) error {
	p, err := h.profileOf(v)
	if err != nil {
		return err
	}
	keys, err := v.lib.Keys(v.r.Context(), p.ID)
	if err != nil {
		return err
	}
	slices.Reverse(keys) // the newest first
	h.show(v, http.StatusOK, "profile", p.Name, struct {
		library.Profile
		Keys []library.Key
	}{p, keys})
	return nil
}

func (h *handler) confirmDelete(v *visit) error {
	p, err := h.profileOf(v)
	if err != nil {
		return err
	}
	h.show(v, http.StatusOK, "profile-delete", "Delete "+p.Name, p)
	return nil
}

func (h *handler) deleteProfile(v *visit) error {
	p, err := h.profileOf(v)
	if err != nil {
		return err
	}
	if err := v.lib.RemoveProfile(v.r.Context(), p.ID); err != nil {
		return err
	}
	return done(v, "/profiles", p.Name+" is deleted, with its keys.")
}

func (h *handler) enableProfile(v *visit) error {
	id, err := v.id()
	if err != nil {
		return err
	}
	enabled := v.form("enabled") != ""
	p, err := v.lib.UpdateProfile(v.r.Context(), id, func(p *library.Profile) error {
		p.Enabled = enabled
		return nil
	})
	if err != nil {
		return err
	}
	said := " is disabled: its keys pair nothing."
	if p.Enabled {
		said = " is enabled."
	}
	return done(v, fmt.Sprintf("/profiles/%d", p.ID), p.Name+said)
}

// makeKey makes a key, whose lines the next page shows once.
func (h *handler) makeKey(v *visit) error {
	p, err := h.profileOf(v)
	if err != nil {
		return err
	}
	if s := server(v.r); !pairing.IsServer(s) {
		return statusError{http.StatusBadRequest, fmt.Sprintf("Machines cannot call this server %q, as your browser does.", s)}
	}
	k, code, err := v.lib.NewKey(v.r.Context(), p.ID)
	if err != nil {
		return err
	}
	path := fmt.Sprintf("/profiles/%d/key", p.ID)
	v.session.setSecret(secret{path, code, k})
	http.Redirect(v.w, v.r, path, http.StatusSeeOther)
	return nil
}

// api is the N of /api/vN that copied lines ask with.
const api = 18

func (h *handler) showKey(v *visit) error {
	p, err := h.profileOf(v)
	if err != nil {
		return err
	}
	o := v.session.takeSecret(v.r.URL.Path)
	data := struct {
		library.Profile
		Key            library.Key
		Code           string
		Linux, Windows string
		CA, Server     string
	}{Profile: p, Code: o.text, CA: h.CA, Server: server(v.r)}
	if o.text != "" {
		data.Key, _ = o.detail.(library.Key)
		line := pairing.Line{API: api, Server: data.Server, Profile: p.ID, Code: o.text, CA: h.CA}
		data.Linux, data.Windows = line.Linux(), line.Windows()
	}
	h.show(v, http.StatusOK, "key", "Pair machines with "+p.Name, data)
	return nil
}

// server is this one as the browser calls it, HOST:PORT.
func server(r *http.Request) string {
	if _, _, err := net.SplitHostPort(r.Host); err == nil {
		return r.Host
	}
	return net.JoinHostPort(strings.Trim(r.Host, "[]"), "443")
}

func (h *handler) revokeKey(v *visit) error {
	p, err := h.profileOf(v)
	if err != nil {
		return err
	}
	keys, err := v.lib.Keys(v.r.Context(), p.ID)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(keys, func(k library.Key) bool { return fmt.Sprint(k.ID) == v.form("key") })
	if i < 0 {
		return library.ErrNotFound
	}
	if err := v.lib.RevokeKey(v.r.Context(), keys[i].ID); err != nil {
		return err
	}
	return done(v, fmt.Sprintf("/profiles/%d", p.ID), fmt.Sprintf("Key %d pairs nothing any more.", keys[i].ID))
}
