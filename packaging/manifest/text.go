package manifest

import (
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/vpkg/vpkg/packaging"
)

var versionRE = regexp.MustCompile(`^((?:0|[1-9][0-9]{0,8})(?:\.(?:0|[1-9][0-9]{0,8})){2})-(0|[1-9][0-9]{0,17})$`)

// ParseVersion reads X.Y.Z-BUILD: four whole numbers without leading zeros.
//
// BUILD is a number alone because dpkg sorts 10.1.debian12 before 10.debian12:
// with it, higher is newer in every format.
func ParseVersion(s string) (Version, error) {
	m := versionRE.FindStringSubmatch(s)
	if m == nil {
		return Version{}, fmt.Errorf("version %q is not X.Y.Z-BUILD, such as 24.2.1-10", s)
	}
	return Version{Number: m[1], Build: m[2]}, nil
}

// String gives X.Y.Z-BUILD.
func (v Version) String() string { return v.Number + "-" + v.Build }

// UnmarshalText reads X.Y.Z-BUILD.
func (v *Version) UnmarshalText(b []byte) (err error) {
	*v, err = ParseVersion(string(b))
	return err
}

// UnmarshalText reads a day, which begins at midnight UTC, or an RFC 3339 time.
func (d *Date) UnmarshalText(b []byte) error {
	for _, form := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(form, string(b)); err == nil {
			return d.set(t)
		}
	}
	return fmt.Errorf("date %q is neither YYYY-MM-DD nor YYYY-MM-DDTHH:MM:SSZ", b)
}

func (d *Date) set(t time.Time) error {
	if err := checkTime(t); err != nil {
		return err
	}
	d.Time = t.UTC().Truncate(time.Second)
	return nil
}

// checkTime refuses what RPM's and cpio's 32-bit seconds cannot hold.
func checkTime(t time.Time) error {
	if s := t.Unix(); s < 1 || s > 1<<32-1 {
		return fmt.Errorf("date %s does not fit in the 32 bits that packages have for it", t.UTC().Format(time.RFC3339))
	}
	return nil
}

// ParseEpoch reads the value of SOURCE_DATE_EPOCH: seconds since 1970.
func ParseEpoch(s string) (time.Time, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH %q is not a number of seconds", s)
	}
	t := time.Unix(n, 0).UTC()
	if err := checkTime(t); err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	return t, nil
}

// UnmarshalText reads three or four octal digits.
func (m *Mode) UnmarshalText(b []byte) error {
	u, err := strconv.ParseUint(string(b), 8, 12)
	if err != nil || len(b) < 3 || len(b) > 4 {
		return fmt.Errorf(`mode %q is not three or four octal digits, such as "0644"`, b)
	}
	*m = Mode{Bits: packaging.FileMode(uint32(u)), Set: true}
	return nil
}

// or gives the mode, or d if there is none.
func (m Mode) or(d fs.FileMode) fs.FileMode {
	if m.Set {
		return m.Bits
	}
	return d
}

// The levels that each codec knows.
var codecLevels = map[string][2]int{
	"gzip":  {1, 9},
	"mszip": {1, 9},
	"none":  {0, 0},
	"xz":    {1, 9},
	"zstd":  {1, 22},
}

// ParseCompression reads CODEC or CODEC:LEVEL, such as zstd:19.
func ParseCompression(s string) (Compression, error) {
	codec, level, hasLevel := strings.Cut(s, ":")
	limits, ok := codecLevels[codec]
	if !ok {
		return Compression{}, fmt.Errorf("compression %q is not zstd, gzip, xz, mszip or none", s)
	}
	if !hasLevel {
		return Compression{Codec: codec}, nil
	}
	n, err := strconv.Atoi(level)
	if err != nil || n < limits[0] || n > limits[1] || limits[1] == 0 {
		if limits[1] == 0 {
			return Compression{}, fmt.Errorf("compression %q: %s has no levels", s, codec)
		}
		return Compression{}, fmt.Errorf("compression %q: the levels of %s are %d to %d", s, codec, limits[0], limits[1])
	}
	return Compression{Codec: codec, Level: n}, nil
}

// UnmarshalText reads CODEC or CODEC:LEVEL.
func (c *Compression) UnmarshalText(b []byte) (err error) {
	*c, err = ParseCompression(string(b))
	return err
}

// UnmarshalText reads the name of a type.
func (t *ContentType) UnmarshalText(b []byte) error {
	switch v := ContentType(b); v {
	case TypeFile, TypeDir, TypeSymlink, TypeTree, TypeGhost:
		*t = v
		return nil
	}
	return fmt.Errorf("type %q is not file, dir, symlink, tree or ghost", b)
}

// UnmarshalText reads on-start or on-activation.
func (t *Takeover) UnmarshalText(b []byte) error {
	switch v := Takeover(b); v {
	case OnStart, OnActivation:
		*t = v
		return nil
	}
	return fmt.Errorf("takeover %q is neither on-start nor on-activation", b)
}

// UnmarshalText reads the name of a start type.
func (s *ServiceStart) UnmarshalText(b []byte) error {
	switch v := ServiceStart(b); v {
	case StartAuto, StartDelayed, StartDemand, StartDisabled:
		*s = v
		return nil
	}
	return fmt.Errorf("start %q is not auto, delayed, demand or disabled", b)
}

// UnmarshalText reads the name of a type.
func (t *RegistryType) UnmarshalText(b []byte) error {
	switch v := RegistryType(b); v {
	case RegistryString, RegistryExpand, RegistryDword, RegistryMulti:
		*t = v
		return nil
	}
	return fmt.Errorf("type %q is not string, expand, dword or multi", b)
}

// UnmarshalText reads the name of an action.
func (a *EnvironmentAction) UnmarshalText(b []byte) error {
	switch v := EnvironmentAction(b); v {
	case EnvironmentSet, EnvironmentAppend, EnvironmentPrepend:
		*a = v
		return nil
	}
	return fmt.Errorf("action %q is not set, append or prepend", b)
}

// UnmarshalText reads a span of time in whole seconds, as Go writes it: 90s, 1m.
func (s *Seconds) UnmarshalText(b []byte) error {
	d, err := time.ParseDuration(string(b))
	if err != nil || d < 0 || d > 24*time.Hour || d%time.Second != 0 {
		return fmt.Errorf("time %q is not whole seconds of at most a day, such as 90s or 1m", b)
	}
	*s = Seconds(d / time.Second)
	return nil
}
