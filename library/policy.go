package library

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Policy is what workloads of a mode have in force. Mode idle has none.
type Policy struct {
	Mode    string
	Format  string // "nftables" or "iptables"; empty means no rules: visibility_only alone
	Version string // set by SetPolicy; never used twice
	// The rules, in one of the two forms.
	Nftables string
	IPv4     string // what iptables-restore reads
	IPv6     string
	Changed  time.Time
}

// MaxRules bounds the rules of a policy, in bytes: agents read answers of 16 MiB, and
// JSON may write one byte as six.
const MaxRules = 2 << 20

// Validate reports everything that is wrong with the form, as an ErrInvalid. It does
// not look into the rules.
func (p Policy) Validate() error {
	var v invalid
	if !slices.Contains(modes[1:], p.Mode) {
		v.add("enforcement_mode %.40q is none of %s", p.Mode, strings.Join(modes[1:], ", "))
	}
	if !slices.Contains([]string{"", "nftables", "iptables"}, p.Format) {
		v.add("format %.40q is neither nftables nor iptables", p.Format)
	}
	if (p.Nftables != "") != (p.Format == "nftables") || (p.IPv4 != "" || p.IPv6 != "") != (p.Format == "iptables") {
		v.add("the rules are not of the format %.40q", p.Format)
	}
	if p.Format == "" && p.Mode != ModeVisibility {
		v.add("%.40s has to have rules", p.Mode)
	}
	rules := p.Nftables + p.IPv4 + p.IPv6
	if len(rules) > MaxRules {
		v.add("the rules have %d bytes, more than %d", len(rules), MaxRules)
	}
	if strings.ToValidUTF8(rules, "") != rules || strings.Contains(rules, "\x00") {
		v.add("the rules are not text")
	}
	return v.err("policy")
}

// SetPolicy puts a policy in the place of the one of its mode and format.
func (l *Library) SetPolicy(ctx context.Context, p Policy) (Policy, error) {
	if err := p.Validate(); err != nil {
		return Policy{}, err
	}
	err := l.Store.Update(ctx, func(tx Tx) error {
		const counter = "policy_version"
		last, err := tx.Setting(counter)
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt("0"+last, 10, 64)
		if err != nil {
			return fmt.Errorf("setting %s: %w", counter, err)
		}
		p.Version, p.Changed = strconv.FormatInt(n+1, 10), l.now()
		e := l.event(EventPolicy, p.Version)
		e.Detail = p.Mode + " " + p.Format
		return errors.Join(tx.SetSetting(counter, p.Version), tx.SavePolicy(p), tx.AddEvent(e))
	})
	if err != nil {
		return Policy{}, err
	}
	return p, nil
}

// Policies lists all by mode and format.
func (l *Library) Policies(ctx context.Context) (ps []Policy, err error) {
	err = l.Store.View(ctx, func(tx Tx) error {
		ps, err = tx.Policies()
		return err
	})
	return ps, err
}

// Policy gives what a workload is to have in force. ErrNotFound means no policy, or
// no workload.
func (l *Library) Policy(ctx context.Context, id int64, token string) (p Policy, err error) {
	err = l.Store.View(ctx, func(tx Tx) error {
		w, err := l.workload(tx, id, token)
		if err != nil {
			return err
		}
		p, err = policyOf(tx, w)
		if err == nil && p.Version == "" {
			err = fmt.Errorf("policy of workload %d: %w: %w", id, ErrNotFound, ErrNoPolicy)
		}
		return err
	})
	return p, err
}

// policyOf gives that of the workload's mode, in the first of its formats that there
// is, or else the one without rules. A Policy without a Version means none.
func policyOf(tx Tx, w Workload) (Policy, error) {
	all, err := tx.Policies()
	if err != nil {
		return Policy{}, err
	}
	for _, f := range append(slices.Clone(w.Formats), "") {
		i := slices.IndexFunc(all, func(p Policy) bool { return p.Mode == w.Mode && p.Format == f })
		if i >= 0 {
			return all[i], nil
		}
	}
	return Policy{}, nil
}
