package agent_test

import (
	"testing"

	"github.com/vpkg/vpkg/agent"
	"github.com/vpkg/vpkg/agent/agenttest"
)

func TestReach(t *testing.T) {
	addr, ca := new(agenttest.Server).Start(t)
	if err := client(t, agent.ActivationConfig{Server: addr, CAFile: ca}).Reach(t.Context()); err != nil {
		t.Errorf("a server that answers 404: %v", err)
	}
	if err := client(t, agent.ActivationConfig{Server: addr}).Reach(t.Context()); err == nil {
		t.Error("a server with a certificate that nobody knows is reached")
	}
	if err := client(t, agent.ActivationConfig{Server: "127.0.0.1:1"}).Reach(t.Context()); err == nil {
		t.Error("a port where nobody listens is reached")
	}
}
