package server

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/vpkg/vpkg/library"
)

// A workload is a machine that was paired, and a ven its agent: the product has them
// apart, here they have the same id.
type workload struct {
	Href     string    `json:"href"`
	Hostname string    `json:"hostname"`
	OSID     string    `json:"os_id"`
	Mode     string    `json:"enforcement_mode"`
	Labels   []label   `json:"labels"`
	Online   bool      `json:"online"`
	Created  time.Time `json:"created_at"`
	VEN      venRef    `json:"ven"`
}

type venRef struct {
	Href   string `json:"href"`
	Status string `json:"status"`
}

type ven struct {
	Href           string     `json:"href"`
	UID            string     `json:"uid"`
	Hostname       string     `json:"hostname"`
	Status         string     `json:"status"` // active, suspended or uninstalled
	Online         bool       `json:"online"`
	Version        string     `json:"version"`
	OSID           string     `json:"os_id"`
	OSPlatform     string     `json:"os_platform"`
	ActivationType string     `json:"activation_type"`
	Profile        string     `json:"pairing_profile"` // its href, also if it has gone since
	Workload       string     `json:"workload"`
	Labels         []label    `json:"labels"`
	State          string     `json:"policy_state"` // as the last heartbeat said; empty before the first
	PolicyVersion  string     `json:"policy_version"`
	PolicyError    string     `json:"policy_error"`
	Activated      time.Time  `json:"activated_at"`
	Heartbeat      *time.Time `json:"last_heartbeat_at"`
	Goodbye        *time.Time `json:"last_goodbye_at"`
	UnpairAllowed  bool       `json:"unpair_allowed"`
}

// online: docs/protocol.md calls an agent lost after three times its heartbeat.
func (s *Server) online(w library.Workload) bool {
	last := w.Heartbeat
	if last.IsZero() {
		last = w.Paired
	}
	return (w.Status == library.StatusActive || w.Status == library.StatusSuspended) && s.now().Sub(last) <= 3*s.Heartbeat
}

func (s *Server) now() time.Time {
	if s.Library.Now != nil {
		return s.Library.Now()
	}
	return time.Now()
}

// statusOf: an agent that was stopped is one that is active and not online.
func statusOf(w library.Workload) string {
	if w.Status == library.StatusOff {
		return library.StatusActive
	}
	return w.Status
}

func href(kind string, id int64) string { return "/orgs/1/" + kind + "/" + strconv.FormatInt(id, 10) }

func (s *Server) workloadOf(w library.Workload) workload {
	return workload{
		Href: href("workloads", w.ID), Hostname: w.Hostname, OSID: w.OS, Mode: w.Mode, Labels: labelsOf(w.Labels),
		Online: s.online(w), Created: w.Paired, VEN: venRef{href("vens", w.ID), statusOf(w)},
	}
}

func (s *Server) venOf(w library.Workload) ven {
	platform := "linux"
	if strings.HasPrefix(w.OS, "win-") {
		platform = "windows"
	}
	return ven{
		Href: href("vens", w.ID), UID: w.UUID, Hostname: w.Hostname, Status: statusOf(w), Online: s.online(w), Version: w.Version,
		OSID: w.OS, OSPlatform: platform, ActivationType: "pairing_key", Profile: profileHref(w.Profile), Workload: href("workloads", w.ID),
		Labels: labelsOf(w.Labels), State: w.State, PolicyVersion: w.PolicyVersion, PolicyError: w.PolicyError,
		Activated: w.Paired, Heartbeat: orNull(w.Heartbeat), Goodbye: orNull(w.Goodbye), UnpairAllowed: w.Status != library.StatusUninstalled,
	}
}

func (s *Server) getWorkloads(c *call) error { return listWorkloads(c, s.workloadOf) }
func (s *Server) getVENs(c *call) error      { return listWorkloads(c, s.venOf) }

func listWorkloads[T any](c *call, show func(library.Workload) T) error {
	limit, after, err := c.page("after")
	if err != nil {
		return err
	}
	ctx := c.r.Context()
	ws, err := c.lib.Workloads(ctx, after, limit)
	if err != nil {
		return err
	}
	counts, err := c.lib.CountWorkloads(ctx, time.Time{})
	if err != nil {
		return err
	}
	total := int64(0)
	for _, of := range counts {
		total += of.N
	}
	c.w.Header().Set("X-Total-Count", strconv.FormatInt(total, 10))
	all := make([]T, 0, len(ws))
	for _, w := range ws {
		all = append(all, show(w))
	}
	c.json(http.StatusOK, all)
	return nil
}

func (s *Server) getWorkload(c *call) error { return showWorkload(c, s.workloadOf) }
func (s *Server) getVEN(c *call) error      { return showWorkload(c, s.venOf) }

func showWorkload[T any](c *call, show func(library.Workload) T) error {
	id, err := c.id("id")
	if err != nil {
		return err
	}
	w, err := c.lib.Workload(c.r.Context(), id)
	if err != nil {
		return err
	}
	c.json(http.StatusOK, show(w))
	return nil
}

func (s *Server) deleteWorkload(c *call) error {
	id, err := c.id("id")
	if err == nil {
		err = c.lib.Unpair(c.r.Context(), id)
	}
	if err == nil {
		c.noContent()
	}
	return err
}

// An event is one of the audit log.
type event struct {
	Href      string    `json:"href"`
	Timestamp time.Time `json:"timestamp"`
	Type      string    `json:"event_type"`
	Status    string    `json:"status"` // success or failure
	CreatedBy createdBy `json:"created_by"`
	Resource  string    `json:"resource"` // what it was done to
	Reason    string    `json:"reason,omitempty"`
	Detail    string    `json:"detail,omitempty"`
}

type createdBy struct {
	Name string `json:"name"`
}

func (s *Server) getEvents(c *call) error {
	limit, before, err := c.page("before")
	if err != nil {
		return err
	}
	es, err := c.lib.Events(c.r.Context(), before, limit)
	if err != nil {
		return err
	}
	all := []event{}
	for _, e := range es {
		one := event{
			Href: href("events", e.ID), Timestamp: e.Time, Type: e.Kind, Status: "success", CreatedBy: createdBy{e.Actor},
			Resource: e.Subject, Reason: string(e.Reason), Detail: e.Detail,
		}
		if e.Reason != "" {
			one.Status = "failure"
		}
		all = append(all, one)
	}
	c.json(http.StatusOK, all)
	return nil
}

// A policy is what workloads of a mode have in force.
type policy struct {
	Mode     string     `json:"enforcement_mode"`
	Format   string     `json:"format,omitempty"`
	Version  string     `json:"version"`
	Nftables string     `json:"nftables,omitempty"`
	IPv4     string     `json:"ipv4,omitempty"`
	IPv6     string     `json:"ipv6,omitempty"`
	Changed  *time.Time `json:"updated_at"`
}

func policyOf(p library.Policy) policy {
	return policy{p.Mode, p.Format, p.Version, p.Nftables, p.IPv4, p.IPv6, orNull(p.Changed)}
}

func (s *Server) getPolicies(c *call) error {
	ps, err := c.lib.Policies(c.r.Context())
	if err != nil {
		return err
	}
	all := []policy{}
	for _, p := range ps {
		all = append(all, policyOf(p))
	}
	c.json(http.StatusOK, all)
	return nil
}

// maxPolicy bounds a policy's body, in bytes: JSON may write one byte as six.
const maxPolicy = 6*library.MaxRules + maxJSON

// putPolicy puts a policy in the place of the one of its mode and format.
func (s *Server) putPolicy(c *call) error {
	var q struct {
		Mode     string `json:"enforcement_mode"`
		Format   string `json:"format"`
		Nftables string `json:"nftables"`
		IPv4     string `json:"ipv4"`
		IPv6     string `json:"ipv6"`
	}
	if err := s.readJSON(c, maxPolicy, &q, true); err != nil {
		return err
	}
	p, err := c.lib.SetPolicy(c.r.Context(), library.Policy{
		Mode: q.Mode, Format: q.Format, Nftables: q.Nftables, IPv4: q.IPv4, IPv6: q.IPv6,
	})
	if err != nil {
		return err
	}
	c.json(http.StatusOK, policyOf(p))
	return nil
}
