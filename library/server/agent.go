package server

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/vpkg/vpkg/agent"
	"github.com/vpkg/vpkg/library"
)

// The other end of the agent's protocol: docs/protocol.md.

func (s *Server) postActivate(c *call) error {
	var q agent.ActivateRequest
	if err := s.readJSON(c, maxJSON, &q, false); err != nil {
		return err
	}
	a := library.Activation{
		Code: q.Code, Request: q.RequestID, Hostname: q.Hostname, OS: q.OSID, Version: q.Version,
		Formats: q.Formats, Mode: q.Mode, Labels: library.Labels(q.Labels),
	}
	if q.ProfileID != "" {
		var ok bool
		if a.Profile, ok = number(q.ProfileID); !ok {
			a.Profile = -1 // no code is of that one
		}
	}
	ctx := c.r.Context()
	w, token, err := c.lib.Activate(ctx, a)
	s.metrics.activation(err)
	if errors.Is(err, library.ErrCode) {
		s.failures.allow(c.client)
	}
	if err != nil {
		return err
	}
	answer := agent.Activation{
		AgentID: strconv.FormatInt(w.ID, 10), OrgID: "1", WorkloadUUID: w.UUID, Token: token,
		HeartbeatSeconds: s.heartbeatSeconds(),
	}
	p, err := c.lib.Policy(ctx, w.ID, token)
	switch {
	case err == nil:
		answer.Policy = agentPolicy(p)
	case !errors.Is(err, library.ErrNoPolicy):
		return err // the same code with the same request is answered again
	}
	c.json(http.StatusCreated, answer)
	return nil
}

func (s *Server) heartbeatSeconds() int { return int(s.Heartbeat.Seconds()) }

func agentPolicy(p library.Policy) *agent.Policy {
	return &agent.Policy{Version: p.Version, Mode: p.Mode, Format: p.Format, Nftables: p.Nftables, IPv4: p.IPv4, IPv6: p.IPv6}
}

// agent gives the id and the token of who asks.
func (c *call) agent() (id int64, token string, err error) {
	token, ok := strings.CutPrefix(c.r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return 0, "", library.ErrToken
	}
	id, err = c.id("id")
	return id, token, err
}

func (s *Server) postHeartbeat(c *call) error {
	id, token, err := c.agent()
	if err != nil {
		return err
	}
	var q agent.HeartbeatRequest
	if err := s.readJSON(c, maxJSON, &q, false); err != nil {
		return err
	}
	version, err := c.lib.Heartbeat(c.r.Context(), id, token, library.Beat{
		Version: q.Version, State: q.State, PolicyVersion: q.PolicyVersion, PolicyError: q.PolicyError,
	})
	if err != nil {
		return err
	}
	c.json(http.StatusOK, agent.Heartbeat{PolicyVersion: version, HeartbeatSeconds: s.heartbeatSeconds()})
	return nil
}

func (s *Server) getAgentPolicy(c *call) error {
	id, token, err := c.agent()
	if err != nil {
		return err
	}
	p, err := c.lib.Policy(c.r.Context(), id, token)
	if err != nil {
		return err
	}
	c.json(http.StatusOK, agent.PolicyAnswer{Policy: *agentPolicy(p)})
	return nil
}

func (s *Server) postGoodbye(c *call) error {
	id, token, err := c.agent()
	if err == nil {
		err = c.lib.Goodbye(c.r.Context(), id, token)
	}
	if err == nil {
		c.noContent()
	}
	return err
}

func (s *Server) postDeactivate(c *call) error {
	id, token, err := c.agent()
	if err == nil {
		err = c.lib.Deactivate(c.r.Context(), id, token)
	}
	if err == nil {
		c.noContent()
	}
	return err
}
