package simulate

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/hooks"
	"github.com/vpkg/vpkg/packaging"
)

// each calls f for every step, those within others in their place.
func each(steps []Step, f func(t *Step)) {
	for i := range steps {
		f(&steps[i])
		each(steps[i].Steps, f)
	}
}

// services says what becomes of the services.
func (s *simulation) services() {
	var order []string
	verbs := map[string][]Effect{}
	each(s.r.Steps, func(t *Step) {
		for _, e := range t.Does {
			if e.Verb == "do" || e.Verb == "delete" || e.Name == "" {
				continue
			}
			if _, ok := verbs[e.Name]; !ok {
				order = append(order, e.Name)
			}
			verbs[e.Name] = append(verbs[e.Name], e)
		}
	})
	before, after := unitsOf(s.olds), unitsOf(s.news)
	for _, units := range []map[string]bool{before, after} {
		for _, u := range slices.Sorted(maps.Keys(units)) {
			if _, ok := verbs[u]; !ok {
				verbs[u] = nil
				order = append(order, u)
			}
		}
	}
	for _, name := range order {
		v := Service{Name: name, Does: []string{}}
		for _, e := range verbs[name] {
			v.Does = append(v.Does, e.Verb)
		}
		v.Outcome = s.outcome(name, verbs[name], before[name], after[name])
		s.r.Services = append(s.r.Services, v)
	}
}

// outcome says what becomes of a service, and warns where it stays down.
func (s *simulation) outcome(name string, verbs []Effect, before, after bool) string {
	last, tried := "", false
	maybe := false
	for _, e := range verbs {
		switch e.Verb {
		case "start", "restart", "stop":
			last, maybe = e.Verb, e.Maybe
		case "try-restart":
			tried = tried || last != "stop"
		}
	}
	switch {
	case last == "stop" && s.action.changes() && before && !after:
		return "stopped; its unit is gone"
	case last == "stop" && s.action.changes():
		if maybe {
			s.warn(Stopped, name, "it may be left stopped: the last thing that a scriptlet does to it is to stop it")
			return "may be left stopped"
		}
		s.warn(Stopped, name, "it is left stopped: nothing starts it after it was stopped")
		return "left stopped"
	case last == "stop":
		return "stopped"
	case last != "":
		return map[string]string{"start": "started", "restart": "restarted"}[last]
	case tried:
		return "restarted if it runs"
	case s.action == Install:
		return "not started"
	case !s.action.changes() || before && !after && s.Format != "msi":
		s.note("service", name, "nothing stops it: where it runs, it goes on without its files")
		return "not stopped"
	}
	if s.atBoot(name) {
		return "left as it is: it works at a boot only"
	}
	s.note("service", name, "nothing restarts it: where it runs, it goes on as the old version")
	return "left as it is"
}

// atBoot reports whether a unit of vpkg's has nothing to do after a boot.
func (s *simulation) atBoot(name string) bool {
	return s.New != nil && s.New.Hook != nil && slices.ContainsFunc(s.New.Hook.Units, func(u hooks.Unit) bool { return u.Name == name && u.AtBoot })
}

// unitsOf lists the services of a payload: units of systemd that can be started by
// their names.
func unitsOf(l packaging.Layout) map[string]bool {
	units := map[string]bool{}
	for i := range l {
		dir, name := path.Split(l[i].Path)
		if (dir == "/usr/lib/systemd/system/" || dir == "/lib/systemd/system/" || dir == "/etc/systemd/system/") &&
			l[i].Regular() && strings.HasSuffix(name, ".service") && !strings.Contains(name, "@") {
			units[name] = true
		}
	}
	return units
}

// deletions warns of what scripts delete.
func (s *simulation) deletions() {
	laid := s.New == nil
	each(s.r.Steps, func(t *Step) {
		if t.Kind == "files" && (t.Name == "unpack" || t.Name == "InstallFiles") {
			laid = true
		}
		for _, e := range t.Does {
			if e.Verb != "delete" || passing(e.Name) {
				continue
			}
			s.deletion(t, e, laid)
		}
	})
}

func (s *simulation) deletion(t *Step, e Effect, laid bool) {
	about := t.Of + " " + t.Name
	where := strings.TrimSuffix(strings.TrimSuffix(e.Name, "*"), "/")
	may := "deletes"
	if e.Maybe {
		may = "may delete"
	}
	if laid && s.New != nil && where != "" {
		x, ok := s.news.Lookup(where)
		if !ok && e.folder {
			x, ok = below(s.news, where+"/")
		}
		if ok {
			s.warn(Failure, about, "%s %s, which the new package has just laid down: %s", may, x.Path, e.Text)
			return
		}
	}
	switch {
	case s.action == Purge:
		s.note("purge", about, "%s %s", may, e.Name)
	case e.folder:
		s.warn(DataLoss, about, "%s %s with all that is in it, %s: %s", may, e.Name, s.during(), e.Text)
	case within(e.Name, "/etc") && s.action.changes():
		s.warn(DataLoss, about, "%s %s, %s: %s", may, e.Name, s.during(), e.Text)
	}
}

// during names the action in a sentence.
func (s *simulation) during() string {
	return map[Action]string{
		Install: "when it is installed", Upgrade: "in an upgrade", Downgrade: "in a downgrade", Reinstall: "when it is installed again",
		Remove: "though only the package is removed", Purge: "when it is purged",
	}[s.action]
}

// passing reports whether what is at a path can be made again at any time, or is only
// a link that enables something.
func passing(p string) bool {
	if isVolatile(p) || strings.Contains(p, "__pycache__") || strings.HasSuffix(p, ".pyc") || strings.HasSuffix(p, ".pid") {
		return true
	}
	return strings.HasPrefix(p, "/etc/systemd/system/") || strings.HasPrefix(p, "/etc/rc") || strings.HasPrefix(p, "/dev/")
}
