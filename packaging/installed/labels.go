package installed

import (
	"context"
	"os"
	"strings"

	"github.com/vpkg/vpkg/packaging"
)

// labels compares SELinux types with those that the host's policy has for the paths.
func (c *check) labels(ctx context.Context, got packaging.Layout) error {
	if c.host.Root != "" {
		return nil
	}
	if _, err := os.Stat("/sys/fs/selinux/enforce"); err != nil {
		return nil // it is not enabled
	}
	for len(got) > 0 {
		n := min(len(got), 500) // paths that fit on a command line
		if err := c.compareLabels(ctx, got[:n], labelOf); err != nil {
			return err
		}
		got = got[n:]
	}
	return nil
}

// compareLabels asks matchpathcon(8). Where it is not installed nothing is compared.
func (c *check) compareLabels(ctx context.Context, got packaging.Layout, label func(path string) string) error {
	argv := []string{"matchpathcon"}
	for i := range got {
		argv = append(argv, got[i].Path)
	}
	out, err := c.host.run(ctx, argv...)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && out == "" {
		return nil
	}
	for line := range strings.Lines(out) {
		p, context, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		want, has := labelType(context), labelType(label(p))
		if ok && want != "" && has != "" && want != has {
			c.add(ruleSELinux, p, want, has, "its SELinux type is %s, not %s", has, want)
		}
	}
	return nil
}

// labelType gives the type in USER:ROLE:TYPE[:RANGE]; "" for what is none.
func labelType(context string) string {
	f := strings.SplitN(context, ":", 4)
	if len(f) < 3 {
		return "" // "<<none>>"
	}
	return f[2]
}
