package console

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/vpkg/vpkg/internal/printable"
	"github.com/vpkg/vpkg/library"
)

// parsePages gives each page with the layout around it.
func parsePages() map[string]*template.Template {
	layout := template.Must(template.New("").Funcs(template.FuncMap{
		"ago":   ago,
		"exact": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") },
		"iso":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"size":  size,
		"text":  printable.String, // what machines say may turn the line around
		"life":  func(seconds library.Limit) string { return span(time.Duration(seconds) * time.Second) },
		"list":  func(all ...string) []string { return all },
		"dict":  dict,
	}).ParseFS(templateFiles, "templates/layout.html"))
	pages := map[string]*template.Template{}
	names, err := templateFiles.ReadDir("templates")
	if err != nil {
		panic(err) // they are embedded
	}
	for _, n := range names {
		if name := strings.TrimSuffix(n.Name(), ".html"); name != "layout" {
			pages[name] = template.Must(template.Must(layout.Clone()).ParseFS(templateFiles, "templates/"+n.Name()))
		}
	}
	return pages
}

// dict gives a part of a page several values.
func dict(pairs ...any) (map[string]any, error) {
	m := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("%v is not a name", pairs[i])
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}

// ago is the time from t to now in words.
func ago(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case t.IsZero():
		return "never"
	case d < 0:
		return "in " + span(-d)
	case d < 5*time.Second:
		return "just now"
	}
	return span(d) + " ago"
}

func span(d time.Duration) string {
	for _, u := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := int64(d / u.of); n > 1 {
			return fmt.Sprintf("%d %ss", n, u.name)
		} else if n == 1 && d%u.of < u.of/2 {
			return "1 " + u.name
		}
	}
	return fmt.Sprintf("%d seconds", int64(d/time.Second))
}

// size is a number of bytes in the units of 1000.
func size(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f kB", float64(n)/1e3)
}
