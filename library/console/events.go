package console

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/vpkg/vpkg/library"
)

type eventList struct {
	Rows  []library.Event
	Kinds []string
	Kind  string
	Query string
	Older int64 // the id before which there may be more; 0 means that there are none
}

func (h *handler) events(v *visit) error {
	q := v.r.URL.Query()
	before, err := strconv.ParseInt("0"+q.Get("before"), 10, 64)
	if err != nil {
		return library.ErrNotFound
	}
	list := eventList{Kinds: library.EventKinds(), Kind: q.Get("kind"), Query: strings.TrimSpace(q.Get("q"))}
	fits := func(e library.Event) bool {
		if list.Kind != "" && e.Kind != list.Kind {
			return false
		}
		all := strings.ToLower(strings.Join([]string{e.Actor, e.Subject, e.Detail, string(e.Reason)}, "\n"))
		return strings.Contains(all, strings.ToLower(list.Query))
	}
	const most = 20_000 // that are searched for one page
	for seen := 0; seen < most; {
		es, err := v.lib.Events(v.r.Context(), before, 1000)
		if err != nil {
			return err
		}
		for _, e := range es {
			if len(list.Rows) == pageSize {
				list.Older = before
				break
			}
			before = e.ID
			if fits(e) {
				list.Rows = append(list.Rows, e)
			}
		}
		if seen += len(es); len(es) < 1000 || list.Older != 0 {
			break
		}
		if seen >= most {
			list.Older = before
		}
	}
	h.show(v, http.StatusOK, "events", "Events", list)
	return nil
}

type apiKeyPage struct {
	Keys       []library.APIKey
	ID, Secret string // of the one that was just made
	Name       string // that was typed, and is wrong
	Problem    string
}

func (h *handler) apiKeys(v *visit) error {
	return h.showAPIKeys(v, http.StatusOK, apiKeyPage{})
}

func (h *handler) showAPIKeys(v *visit, status int, p apiKeyPage) error {
	keys, err := v.lib.APIKeys(v.r.Context())
	if err != nil {
		return err
	}
	slices.SortFunc(keys, func(a, b library.APIKey) int { return b.Created.Compare(a.Created) })
	p.Keys = keys
	if o := v.session.takeSecret("/api-keys"); o.text != "" {
		p.ID, p.Secret, _ = strings.Cut(o.text, ":")
	}
	h.show(v, status, "api-keys", "API keys", p)
	return nil
}

func (h *handler) makeAPIKey(v *visit) error {
	k, code, err := v.lib.NewAPIKey(v.r.Context(), v.form("name"))
	if errors.Is(err, library.ErrInvalid) {
		return h.showAPIKeys(v, http.StatusUnprocessableEntity, apiKeyPage{Name: v.form("name"), Problem: "Give it a name, of one line."})
	}
	if err != nil {
		return err
	}
	v.session.setSecret(secret{path: "/api-keys", text: k.ID + ":" + code})
	http.Redirect(v.w, v.r, "/api-keys", http.StatusSeeOther)
	return nil
}

func (h *handler) removeAPIKey(v *visit) error {
	if err := v.lib.RemoveAPIKey(v.r.Context(), v.form("id")); err != nil {
		return err
	}
	return done(v, "/api-keys", "The API key "+v.form("id")+" is removed.")
}
