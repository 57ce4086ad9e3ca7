package server

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/vpkg/vpkg/library"
)

// A label is one of a workload's or of a profile's.
type label struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

func labelsOf(b library.Labels) []label {
	ls := []label{}
	for _, l := range []label{{"role", b.Role}, {"app", b.App}, {"env", b.Env}, {"loc", b.Loc}} {
		if l.Value != "" {
			ls = append(ls, l)
		}
	}
	return ls
}

func parseLabels(ls []label) (b library.Labels, err error) {
	for _, l := range ls {
		to := map[string]*string{"role": &b.Role, "app": &b.App, "env": &b.Env, "loc": &b.Loc}[l.Key]
		switch {
		case to == nil:
			return b, refuse(http.StatusBadRequest, "labels: key %.40q is none of role, app, env, loc", l.Key)
		case *to != "":
			return b, refuse(http.StatusBadRequest, "labels: key %s is there twice", l.Key)
		case l.Value == "":
			return b, refuse(http.StatusBadRequest, "labels: %s has no value", l.Key)
		}
		*to = l.Value
	}
	return b, nil
}

// A profile is how one is read: the names are the product's, except that a label is
// its key and value, for there is no collection of labels.
type profile struct {
	Href        string `json:"href"`
	Name        string `json:"name"`
	Description string `json:"description"`
	Enabled     bool   `json:"enabled"`
	IsDefault   bool   `json:"is_default"`

	Mode           string  `json:"enforcement_mode"`
	ModeLock       bool    `json:"enforcement_mode_lock"`
	Visibility     string  `json:"visibility_level"`
	VisibilityLock bool    `json:"visibility_level_lock"`
	Labels         []label `json:"labels"`
	RoleLock       bool    `json:"role_label_lock"`
	AppLock        bool    `json:"app_label_lock"`
	EnvLock        bool    `json:"env_label_lock"`
	LocLock        bool    `json:"loc_label_lock"`

	UsesPerKey  library.Limit `json:"allowed_uses_per_key"`
	KeyLifespan library.Limit `json:"key_lifespan"`
	Version     string        `json:"agent_software_release"`
	VENType     string        `json:"ven_type"`

	ExternalDataSet       *string `json:"external_data_set"`
	ExternalDataReference *string `json:"external_data_reference"`

	UseCount  int64      `json:"total_use_count"`
	LastPair  *time.Time `json:"last_pairing_at"`
	LastKey   *time.Time `json:"last_pairing_key_generated_at"`
	LastKeyBy *string    `json:"last_pairing_key_generated_by"`
	Created   *time.Time `json:"created_at"`
	Updated   *time.Time `json:"updated_at"`
	Caps      []string   `json:"caps"`
}

func profileHref(id int64) string { return "/orgs/1/pairing_profiles/" + strconv.FormatInt(id, 10) }

// orNull is nil for what is not set.
func orNull[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// profileOf shows p. release is the version that its machines get without one of its own.
func profileOf(p library.Profile, release string) profile {
	v := p.Version
	if v == "" {
		v = "Default"
		if release != "" {
			v = "Default (" + release + ")"
		}
	}
	return profile{
		Href: profileHref(p.ID), Name: p.Name, Description: p.Description, Enabled: p.Enabled,
		Mode: p.Mode, ModeLock: p.ModeLock, Visibility: p.Visibility, VisibilityLock: p.VisibilityLock,
		Labels: labelsOf(p.Labels), RoleLock: p.RoleLock, AppLock: p.AppLock, EnvLock: p.EnvLock, LocLock: p.LocLock,
		UsesPerKey: p.UsesPerKey, KeyLifespan: p.KeyLifespan, Version: v, VENType: p.VENType,
		ExternalDataSet: orNull(p.ExternalDataSet), ExternalDataReference: orNull(p.ExternalDataReference),
		UseCount: p.UseCount, LastPair: orNull(p.LastPair), LastKey: orNull(p.LastKey), LastKeyBy: orNull(p.LastKeyBy),
		Created: orNull(p.Created), Updated: orNull(p.Updated), Caps: []string{"write", "generate_pairing_key"},
	}
}

// A profileChange is what may be written. What is not there stays as it is.
type profileChange struct {
	Name                  *string        `json:"name"`
	Description           *string        `json:"description"`
	Enabled               *bool          `json:"enabled"`
	Mode                  *string        `json:"enforcement_mode"`
	ModeLock              *bool          `json:"enforcement_mode_lock"`
	Visibility            *string        `json:"visibility_level"`
	VisibilityLock        *bool          `json:"visibility_level_lock"`
	Labels                *[]label       `json:"labels"`
	RoleLock              *bool          `json:"role_label_lock"`
	AppLock               *bool          `json:"app_label_lock"`
	EnvLock               *bool          `json:"env_label_lock"`
	LocLock               *bool          `json:"loc_label_lock"`
	UsesPerKey            *library.Limit `json:"allowed_uses_per_key"`
	KeyLifespan           *library.Limit `json:"key_lifespan"`
	Version               *string        `json:"agent_software_release"`
	VENType               *string        `json:"ven_type"`
	ExternalDataSet       *string        `json:"external_data_set"`
	ExternalDataReference *string        `json:"external_data_reference"`
}

// defaultRelease is how no version of one's own reads back.
var defaultRelease = regexp.MustCompile(`^Default( \([^()]*\))?$`)

func (q profileChange) apply(p *library.Profile) error {
	set(&p.Name, q.Name)
	set(&p.Description, q.Description)
	set(&p.Enabled, q.Enabled)
	set(&p.Mode, q.Mode)
	set(&p.ModeLock, q.ModeLock)
	set(&p.Visibility, q.Visibility)
	set(&p.VisibilityLock, q.VisibilityLock)
	set(&p.RoleLock, q.RoleLock)
	set(&p.AppLock, q.AppLock)
	set(&p.EnvLock, q.EnvLock)
	set(&p.LocLock, q.LocLock)
	set(&p.UsesPerKey, q.UsesPerKey)
	set(&p.KeyLifespan, q.KeyLifespan)
	set(&p.Version, q.Version)
	set(&p.VENType, q.VENType)
	set(&p.ExternalDataSet, q.ExternalDataSet)
	set(&p.ExternalDataReference, q.ExternalDataReference)
	if defaultRelease.MatchString(p.Version) {
		p.Version = ""
	}
	if q.Labels != nil {
		var err error
		if p.Labels, err = parseLabels(*q.Labels); err != nil {
			return err
		}
	}
	return nil
}

func set[T any](to, v *T) {
	if v != nil {
		*to = *v
	}
}

// defaultVersion is the release of machines whose profile names none; empty if there
// is no release at all.
func (s *Server) defaultVersion(ctx context.Context, l *library.Library) (string, error) {
	rs, err := s.releases(ctx, l)
	for _, r := range rs {
		if r.Default {
			return r.Version, err
		}
	}
	return "", err
}

func (s *Server) getProfiles(c *call) error {
	limit, _, err := c.page("")
	if err != nil {
		return err
	}
	ps, err := c.lib.Profiles(c.r.Context())
	if err != nil {
		return err
	}
	release, err := s.defaultVersion(c.r.Context(), c.lib)
	if err != nil {
		return err
	}
	c.w.Header().Set("X-Total-Count", strconv.Itoa(len(ps)))
	all := []profile{}
	for _, p := range ps[:min(limit, len(ps))] {
		all = append(all, profileOf(p, release))
	}
	c.json(http.StatusOK, all)
	return nil
}

func (s *Server) postProfile(c *call) error {
	var q profileChange
	if err := s.readJSON(c, maxJSON, &q, true); err != nil {
		return err
	}
	if q.Enabled == nil {
		return refuse(http.StatusBadRequest, "enabled has to be given")
	}
	name := ""
	if q.Name == nil { // as documented, it need not be given
		name = "Pairing Profile " + time.Now().UTC().Format("2006-01-02 15:04:05.000")
	}
	p := library.NewProfile(name)
	if err := q.apply(&p); err != nil {
		return err
	}
	p, err := c.lib.SaveProfile(c.r.Context(), p)
	if err != nil {
		return err
	}
	return s.answerProfile(c, http.StatusCreated, p)
}

func (s *Server) answerProfile(c *call, status int, p library.Profile) error {
	release, err := s.defaultVersion(c.r.Context(), c.lib)
	if err != nil {
		return err
	}
	c.json(status, profileOf(p, release))
	return nil
}

// profile gives the one that the path names.
func (c *call) profile() (library.Profile, error) {
	id, err := c.id("id")
	if err != nil {
		return library.Profile{}, err
	}
	p, err := c.lib.Profile(c.r.Context(), id)
	if err != nil {
		return p, fmt.Errorf("pairing profile %d: %w", id, err)
	}
	return p, nil
}

func (s *Server) getProfile(c *call) error {
	p, err := c.profile()
	if err != nil {
		return err
	}
	return s.answerProfile(c, http.StatusOK, p)
}

func (s *Server) putProfile(c *call) error {
	id, err := c.id("id")
	if err != nil {
		return err
	}
	var q profileChange
	if err := s.readJSON(c, maxJSON, &q, true); err != nil {
		return err
	}
	if _, err := c.lib.UpdateProfile(c.r.Context(), id, q.apply); err != nil {
		return err
	}
	c.noContent()
	return nil
}

func (s *Server) deleteProfile(c *call) error {
	p, err := c.profile()
	if err == nil {
		err = c.lib.RemoveProfile(c.r.Context(), p.ID)
	}
	if err == nil {
		c.noContent()
	}
	return err
}

type pairingKey struct {
	Code string `json:"activation_code"`
}

// postKey makes an activation code. It is in this answer, and nowhere else.
func (s *Server) postKey(c *call) error {
	p, err := c.profile()
	if err != nil {
		return err
	}
	if err := s.readJSON(c, maxJSON, &struct{}{}, true); err != nil {
		return err
	}
	_, code, err := c.lib.NewKey(c.r.Context(), p.ID)
	if err != nil {
		return err
	}
	c.json(http.StatusCreated, pairingKey{code})
	return nil
}

// A key is one without its code, which nobody knows any more.
type key struct {
	Href    string        `json:"href"`
	Created time.Time     `json:"created_at"`
	Expires *time.Time    `json:"expires_at"`
	Allowed library.Limit `json:"allowed_uses"`
	Used    int64         `json:"use_count"`
	Revoked *time.Time    `json:"revoked_at"`
}

func (s *Server) getKeys(c *call) error {
	p, err := c.profile()
	if err != nil {
		return err
	}
	ks, err := c.lib.Keys(c.r.Context(), p.ID)
	if err != nil {
		return err
	}
	all := []key{}
	for _, k := range ks {
		all = append(all, key{
			Href:    profileHref(p.ID) + "/pairing_keys/" + strconv.FormatInt(k.ID, 10),
			Created: k.Created, Expires: orNull(k.Expires), Allowed: k.Allowed, Used: k.Used, Revoked: orNull(k.Revoked),
		})
	}
	c.json(http.StatusOK, all)
	return nil
}

func (s *Server) deleteKey(c *call) error {
	p, err := c.profile()
	if err != nil {
		return err
	}
	id, err := c.id("key")
	if err != nil {
		return err
	}
	ks, err := c.lib.Keys(c.r.Context(), p.ID)
	if err != nil {
		return err
	}
	for _, k := range ks {
		if k.ID == id {
			if err := c.lib.RevokeKey(c.r.Context(), id); err != nil {
				return err
			}
			c.noContent()
			return nil
		}
	}
	return refuse(http.StatusNotFound, "pairing profile %d has no key %d", p.ID, id)
}
