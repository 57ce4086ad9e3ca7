package main

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/vpkg/vpkg/library/authority"
)

// hostsOfSystem gives the names and addresses by which this host may be known.
func hostsOfSystem(ctx context.Context) []string {
	var all []string
	add := func(h string) {
		if len(all) < maxHosts && !contains(all, h) && authority.CheckHosts([]string{h}) == nil {
			all = append(all, h)
		}
	}
	if name, err := os.Hostname(); err == nil {
		if full := fullName(ctx, name); full != "" {
			add(full)
		}
		add(name)
	}
	add("localhost")
	as, err := net.InterfaceAddrs()
	if err != nil {
		return append(all, "127.0.0.1")
	}
	for _, a := range as {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && !p.Addr().IsLinkLocalUnicast() {
			add(p.Addr().String())
		}
	}
	return all
}

// fullName is the name with its domain; empty if that cannot be found out soon.
func fullName(ctx context.Context, name string) string {
	if strings.Contains(name, ".") {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	full, err := net.DefaultResolver.LookupCNAME(ctx, name)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(full, ".")
}
