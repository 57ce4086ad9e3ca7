package platform

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/hooks/hookstest"
)

// A kernel is one with modules that modprobe can load, by name or alias.
type kernel struct {
	*hookstest.System
	modules    []string
	noModprobe bool
	loaded     []string // what modprobe was asked to load and had
}

func newKernel(files ...string) *kernel {
	k := &kernel{System: &hookstest.System{Files: map[string]hookstest.File{
		"/proc/sys/kernel/osrelease": {Text: "6.1.0-39-cloud-amd64\n"},
	}}}
	for _, f := range files {
		k.Files[f] = hookstest.File{}
	}
	return k
}

func (k *kernel) Run(ctx context.Context, argv ...string) (string, error) {
	if argv[0] != "modprobe" {
		return k.System.Run(ctx, argv...)
	}
	name := argv[len(argv)-1]
	switch {
	case k.noModprobe:
		return "", fmt.Errorf("modprobe: %w", exec.ErrNotFound)
	case !slices.Contains(k.modules, name):
		return "", &hooks.ExitError{Status: 1, Text: "modprobe: FATAL: Module " + name + " not found"}
	case len(argv) == 2:
		k.loaded = append(k.loaded, name)
	}
	return "", nil
}

var wanted = []hooks.Module{
	{Name: "nf_conntrack", For: "rules about connections"},
	{Name: "nf_conntrack_ipv4", Substitutes: []string{"nf_conntrack"}, For: "rules about IPv4 connections"},
	{Name: "ipt_LOG", Substitutes: []string{"xt_LOG"}, For: "logging"},
	{Name: "nf_conntrack_ftp", For: "data connections of FTP"},
}

func TestModules(t *testing.T) {
	for _, tc := range []struct {
		name     string
		kernel   func() *kernel
		dry      bool
		how      []string // of wanted
		warnings []string // the modules that are named, with the rest of the sentence
		load     string   // for modules-load.d
	}{
		{
			"Debian 12", // nf_conntrack_ipv4 was merged, ipt_LOG is an alias
			func() *kernel {
				k := newKernel()
				k.modules = []string{"nf_conntrack", "ipt_LOG", "xt_LOG", "nf_conntrack_ftp"}
				return k
			},
			false,
			[]string{"nf_conntrack loaded", "nf_conntrack loaded", "ipt_LOG loaded", "nf_conntrack_ftp loaded"},
			[]string{"nf_conntrack_ipv4 is not there: nf_conntrack serves in its place"},
			"nf_conntrack\nipt_LOG\nnf_conntrack_ftp\n",
		},
		{
			"before anything is loaded",
			func() *kernel { k := newKernel(); k.modules = []string{"nf_conntrack", "xt_LOG"}; return k },
			true,
			[]string{"nf_conntrack available", "nf_conntrack available", "xt_LOG available", " missing"},
			[]string{
				"nf_conntrack_ipv4 is not there: nf_conntrack", "ipt_LOG is not there: xt_LOG serves",
				"nf_conntrack_ftp is not there and nothing serves in its place; what does not work: data connections of FTP",
			},
			"nf_conntrack\nxt_LOG\n",
		},
		{
			"built in, listed by the kernel",
			func() *kernel {
				k := newKernel()
				k.Files["/lib/modules/6.1.0-39-cloud-amd64/modules.builtin"] = hookstest.File{
					Text: "kernel/net/netfilter/nf_conntrack.ko\nkernel/net/netfilter/xt_LOG.ko\nkernel/net/netfilter/nf_conntrack_ftp.ko\n",
				}
				k.modules = []string{"nf_conntrack", "xt_LOG", "nf_conntrack_ftp"}
				return k
			},
			false,
			[]string{"nf_conntrack built in", "nf_conntrack built in", "xt_LOG built in", "nf_conntrack_ftp built in"},
			[]string{"nf_conntrack_ipv4", "ipt_LOG"},
			"",
		},
		{
			"container without modprobe",
			func() *kernel {
				k := newKernel("/proc/sys/net/netfilter/nf_conntrack_max", "/sys/module/xt_LOG")
				k.noModprobe = true
				return k
			},
			false,
			[]string{"nf_conntrack loaded", "nf_conntrack loaded", "xt_LOG loaded", " missing"},
			[]string{"nf_conntrack_ipv4", "ipt_LOG", "nf_conntrack_ftp"},
			"",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := tc.kernel()
			m := newModules(k, tc.dry)
			var how, warnings []string
			var states []ModuleState
			for _, w := range wanted {
				s := m.ensure(t.Context(), w)
				states = append(states, s)
				how = append(how, s.Serves+" "+s.How)
				if w := s.warning(); w != "" {
					warnings = append(warnings, w)
				}
			}
			if !slices.Equal(how, tc.how) {
				t.Errorf("got %q, want %q", how, tc.how)
			}
			if len(warnings) != len(tc.warnings) {
				t.Fatalf("warnings %q, want %q", warnings, tc.warnings)
			}
			for i, w := range tc.warnings {
				if !strings.HasPrefix(warnings[i], "kernel module "+w) {
					t.Errorf("warning %q, want %q", warnings[i], w)
				}
			}
			if got := modulesLoad(states); got != tc.load {
				t.Errorf("modules-load.d gets %q, want %q", got, tc.load)
			}
			if tc.dry && len(k.loaded) > 0 {
				t.Errorf("looking has loaded %q", k.loaded)
			}
		})
	}
}
