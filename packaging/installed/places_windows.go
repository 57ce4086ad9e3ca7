package installed

import "github.com/vpkg/vpkg/hooks"

// places says where the folders of a product are on this host.
func places(c hooks.Config) map[string]string {
	c.Windows = true
	h := hooks.FindHost(c, hooks.Registered(c.Name, "InstallFolder"), "")
	found := map[string]string{}
	for _, p := range []string{stateFolder, "/ProgramData", "/Windows", c.Program, c.Data} {
		if p == "" {
			continue
		}
		if at, err := h.Locate(p); err == nil {
			found[p] = at
		}
	}
	return found
}
