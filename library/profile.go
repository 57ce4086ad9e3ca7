package library

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Profile is what machines become that are paired with a key of it. The JSON names
// are those of the REST API's pairing_profiles, except that a label is its value here.
type Profile struct {
	ID          int64  `json:"-"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Enabled     bool   `json:"enabled"` // keys of a profile that is not enabled pair nothing

	Mode       string `json:"enforcement_mode"`
	ModeLock   bool   `json:"enforcement_mode_lock"` // true means that the machine's wish does not count
	Visibility string `json:"visibility_level"`
	// VisibilityLock is kept for clients: machines have no such wish.
	VisibilityLock bool `json:"visibility_level_lock"`

	Labels   Labels `json:"labels,omitzero"`
	RoleLock bool   `json:"role_label_lock"`
	AppLock  bool   `json:"app_label_lock"`
	EnvLock  bool   `json:"env_label_lock"`
	LocLock  bool   `json:"loc_label_lock"`

	UsesPerKey  Limit  `json:"allowed_uses_per_key"`             // machines
	KeyLifespan Limit  `json:"key_lifespan"`                     // seconds
	Version     string `json:"agent_software_release,omitempty"` // a release's; empty means the library's default
	VENType     string `json:"ven_type"`

	ExternalDataSet       string `json:"external_data_set,omitempty"`
	ExternalDataReference string `json:"external_data_reference,omitempty"`

	// What the library writes down itself.
	Created   time.Time `json:"created_at,omitzero"`
	Updated   time.Time `json:"updated_at,omitzero"`
	UseCount  int64     `json:"total_use_count"` // machines that were ever paired with it
	LastPair  time.Time `json:"last_pairing_at,omitzero"`
	LastKey   time.Time `json:"last_pairing_key_generated_at,omitzero"`
	LastKeyBy string    `json:"last_pairing_key_generated_by,omitempty"`
}

// Labels say what a workload is. Empty ones are not set.
type Labels struct {
	Role string `json:"role,omitempty"`
	App  string `json:"app,omitempty"`
	Env  string `json:"env,omitempty"`
	Loc  string `json:"loc,omitempty"`
}

// check: each is one line of at most 255 bytes.
func (b Labels) check(v *invalid) {
	for _, f := range []struct{ name, value string }{{"role", b.Role}, {"app", b.App}, {"env", b.Env}, {"loc", b.Loc}} {
		if !isText(f.value, 255) {
			v.add("label %s is not one line of at most 255 bytes", f.name)
		}
	}
}

// The values of enumerations.
const (
	ModeIdle       = "idle"
	ModeVisibility = "visibility_only"
	ModeSelective  = "selective"
	ModeFull       = "full"

	TypeServer    = "server"
	TypeAtPairing = "specified_during_activation"
)

var (
	modes        = []string{ModeIdle, ModeVisibility, ModeSelective, ModeFull}
	visibilities = []string{"flow_full_detail", "flow_summary", "flow_drops", "flow_off", "enhanced_data_collection"}
	venTypes     = []string{TypeServer, "endpoint", "containerized", TypeAtPairing}
)

// A Limit is 1 to 2147483647, or 0 for none: "unlimited" in JSON.
type Limit int64

const unlimited = "unlimited"

func (n Limit) valid() bool { return n >= 0 && n <= math.MaxInt32 }

// String gives the number, or "unlimited".
func (n Limit) String() string {
	if n == 0 {
		return unlimited
	}
	return strconv.FormatInt(int64(n), 10)
}

// MarshalJSON gives a number, or "unlimited".
func (n Limit) MarshalJSON() ([]byte, error) {
	if n == 0 {
		return []byte(`"unlimited"`), nil
	}
	return []byte(n.String()), nil
}

// UnmarshalJSON reads what MarshalJSON gives, and nothing else.
func (n *Limit) UnmarshalJSON(b []byte) error {
	if string(b) == `"unlimited"` {
		*n = 0
		return nil
	}
	v, err := ParseLimit(string(b))
	if err != nil || string(b) == unlimited {
		return fmt.Errorf("want 1 to %d or \"unlimited\", found %.40q", math.MaxInt32, b)
	}
	*n = v
	return nil
}

// ParseLimit reads what String gives.
func ParseLimit(s string) (Limit, error) {
	if s == unlimited {
		return 0, nil
	}
	v, err := strconv.ParseInt(s, 10, 32)
	if err != nil || v < 1 || s != strconv.FormatInt(v, 10) {
		return 0, fmt.Errorf("want 1 to %d or unlimited, found %.40q", math.MaxInt32, s)
	}
	return Limit(v), nil
}

// NewProfile is an enabled profile with the documented defaults: everything is
// locked, keys last and pair without a limit.
func NewProfile(name string) Profile {
	return Profile{
		Name: name, Enabled: true, Mode: ModeVisibility, Visibility: visibilities[1], VENType: TypeServer,
		ModeLock: true, VisibilityLock: true, RoleLock: true, AppLock: true, EnvLock: true, LocLock: true,
	}
}

// ParseProfile reads one JSON object onto p: a field that is not there stays as it
// is. Unknown fields are refused; what the library writes down itself is not changed.
func ParseProfile(p Profile, b []byte) (Profile, error) {
	was := p
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return was, fmt.Errorf("pairing profile: %w: %w", ErrInvalid, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return was, fmt.Errorf("pairing profile: %w: there is more than one JSON object", ErrInvalid)
	}
	p.keep(was)
	return p, p.Validate()
}

// keep takes over what only the library changes.
func (p *Profile) keep(was Profile) {
	p.ID, p.Created, p.Updated, p.UseCount = was.ID, was.Created, was.Updated, was.UseCount
	p.LastPair, p.LastKey, p.LastKeyBy = was.LastPair, was.LastKey, was.LastKeyBy
}

// Validate reports everything that is wrong, as an ErrInvalid.
func (p Profile) Validate() error {
	var v invalid
	if strings.TrimSpace(p.Name) == "" || !isText(p.Name, 255) {
		v.add("name is not one line of 1 to 255 bytes")
	}
	if len(p.Description) > 4096 || !isText(strings.NewReplacer("\n", "", "\t", "").Replace(p.Description), 4096) {
		v.add("description is not text of at most 4096 bytes")
	}
	for _, f := range []struct {
		name, value string
		of          []string
	}{
		{"enforcement_mode", p.Mode, modes},
		{"visibility_level", p.Visibility, visibilities},
		{"ven_type", p.VENType, venTypes},
	} {
		if !slices.Contains(f.of, f.value) {
			v.add("%s %.40q is none of %s", f.name, f.value, strings.Join(f.of, ", "))
		}
	}
	for _, f := range []struct {
		name  string
		value Limit
	}{{"allowed_uses_per_key", p.UsesPerKey}, {"key_lifespan", p.KeyLifespan}} {
		if !f.value.valid() {
			v.add("%s %d is not 1 to %d or unlimited", f.name, f.value, math.MaxInt32)
		}
	}
	if p.Version != "" && !isWord(p.Version, 128) {
		v.add("agent_software_release is not one word of at most 128 bytes")
	}
	for _, f := range []struct{ name, value string }{
		{"external_data_set", p.ExternalDataSet}, {"external_data_reference", p.ExternalDataReference},
	} {
		if !isText(f.value, 255) {
			v.add("%s is not one line of at most 255 bytes", f.name)
		}
	}
	p.Labels.check(&v)
	return v.err("pairing profile")
}

// Profiles lists all profiles by id.
func (l *Library) Profiles(ctx context.Context) (ps []Profile, err error) {
	err = l.Store.View(ctx, func(tx Tx) error {
		ps, err = tx.Profiles()
		return err
	})
	return ps, err
}

// Profile gives one.
func (l *Library) Profile(ctx context.Context, id int64) (p Profile, err error) {
	err = l.Store.View(ctx, func(tx Tx) error {
		p, err = tx.Profile(id)
		return err
	})
	return p, err
}

// SaveProfile makes a profile if its ID is 0, and otherwise puts p in the place of the
// one that there is, whose counts it leaves alone. It returns the profile as it is then.
func (l *Library) SaveProfile(ctx context.Context, p Profile) (Profile, error) {
	if err := p.Validate(); err != nil {
		return Profile{}, err
	}
	err := l.Store.Update(ctx, func(tx Tx) (err error) {
		var was Profile
		if p.ID != 0 {
			if was, err = tx.Profile(p.ID); err != nil {
				return fmt.Errorf("pairing profile %d: %w", p.ID, err)
			}
		}
		return l.saveProfile(tx, &p, was)
	})
	if err != nil {
		return Profile{}, err
	}
	return p, nil
}

// UpdateProfile changes the profile as it is in the Store then, so that nothing is lost
// that others change meanwhile. What change returns is returned, and then nothing is
// saved; it waits for nothing, for no other Update runs until it is done.
func (l *Library) UpdateProfile(ctx context.Context, id int64, change func(*Profile) error) (p Profile, err error) {
	err = l.Store.Update(ctx, func(tx Tx) error {
		was, err := tx.Profile(id)
		if err != nil {
			return fmt.Errorf("pairing profile %d: %w", id, err)
		}
		p = was
		if err := change(&p); err != nil {
			return err
		}
		if err := p.Validate(); err != nil {
			return err
		}
		return l.saveProfile(tx, &p, was)
	})
	if err != nil {
		return Profile{}, err
	}
	return p, nil
}

// saveProfile saves a valid profile in the place of another one, or as a new one if
// that is zero.
func (l *Library) saveProfile(tx Tx, p *Profile, was Profile) error {
	now, kind := l.now(), EventProfileUpdate
	if was.ID == 0 {
		was.Created, kind = now, EventProfileCreate
	}
	p.keep(was)
	p.Updated = now
	if p.Version != "" && p.Version != was.Version {
		images, err := tx.Images()
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(images, func(i Image) bool { return i.Release == p.Version }) {
			return fmt.Errorf("pairing profile: %w: there is no release %q", ErrInvalid, p.Version)
		}
	}
	if err := tx.SaveProfile(p); err != nil {
		return fmt.Errorf("pairing profile %q: %w", p.Name, err)
	}
	e := l.event(kind, strconv.FormatInt(p.ID, 10))
	e.Detail = p.Name
	return tx.AddEvent(e)
}

// RemoveProfile removes a profile and its keys. What was paired with it stays.
func (l *Library) RemoveProfile(ctx context.Context, id int64) error {
	return l.Store.Update(ctx, func(tx Tx) error {
		p, err := tx.Profile(id)
		if err == nil {
			err = tx.RemoveProfile(id)
		}
		if err != nil {
			return fmt.Errorf("pairing profile %d: %w", id, err)
		}
		e := l.event(EventProfileDelete, strconv.FormatInt(id, 10))
		e.Detail = p.Name
		return tx.AddEvent(e)
	})
}

// settle gives the mode and labels of a machine that wishes for these.
func (p Profile) settle(mode string, wish Labels) (string, Labels) {
	pick := func(lock bool, own, wish string) string {
		if lock {
			return own
		}
		return cmp.Or(wish, own)
	}
	return pick(p.ModeLock, p.Mode, mode), Labels{
		Role: pick(p.RoleLock, p.Labels.Role, wish.Role),
		App:  pick(p.AppLock, p.Labels.App, wish.App),
		Env:  pick(p.EnvLock, p.Labels.Env, wish.Env),
		Loc:  pick(p.LocLock, p.Labels.Loc, wish.Loc),
	}
}
