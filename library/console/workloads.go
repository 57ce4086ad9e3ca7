package console

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/vpkg/vpkg/library"
)

// pageSize is how many workloads or events are on a page.
const pageSize = 100

// A workloadRow is one as it is shown.
type workloadRow struct {
	library.Workload
	Condition string // one of conditions
	Profile   string // its name
}

// conditions are those of workloads, those first that an administrator looks for.
var conditions = []string{"lost", "degraded", library.StatusActive, library.StatusSuspended, library.StatusOff, library.StatusUninstalled}

// silent is the time since when a workload that is not lost has been heard of: it is
// three heartbeats ago.
func (h *handler) silent(now time.Time) time.Time { return now.Add(-3 * h.Heartbeat) }

type workloadList struct {
	Rows   []workloadRow
	Counts []count
	Total  int64
	Query  string
	Older  int64 // the id before which there are more; 0 means that there are none
	First  bool  // it is the page with the newest
	Now    time.Time
}

type count struct {
	Condition string
	N         int64
}

// list gives the newest before an id, or those whose host's name has the text in it.
func (h *handler) list(ctx context.Context, l *library.Library, before int64, query string) (workloadList, error) {
	now := time.Now()
	list := workloadList{Query: query, First: before == 0, Now: now}
	profiles, err := l.Profiles(ctx)
	if err != nil {
		return list, err
	}
	names := map[int64]string{}
	for _, p := range profiles {
		names[p.ID] = p.Name
	}
	counts, err := l.CountWorkloads(ctx, h.silent(now))
	if err != nil {
		return list, err
	}
	n := map[string]int64{}
	for _, c := range counts {
		n[c.Condition()] += c.N
		list.Total += c.N
	}
	for _, c := range conditions {
		if n[c] > 0 {
			list.Counts = append(list.Counts, count{c, n[c]})
		}
	}
	const most = 50_000 // that are searched
	for seen := 0; len(list.Rows) < pageSize && seen < most; {
		ws, err := l.RecentWorkloads(ctx, before, pageSize+1)
		if err != nil {
			return list, err
		}
		for i, w := range ws {
			if len(list.Rows) == pageSize || query == "" && i == pageSize {
				list.Older = before
				return list, nil
			}
			before = w.ID
			if query == "" || strings.Contains(strings.ToLower(w.Hostname), strings.ToLower(query)) {
				list.Rows = append(list.Rows, workloadRow{w, w.Condition(h.silent(now)), names[w.Profile]})
			}
		}
		if seen += len(ws); len(ws) <= pageSize {
			break
		}
	}
	return list, nil
}

func (h *handler) workloads(v *visit) error {
	q := v.r.URL.Query()
	before, err := strconv.ParseInt("0"+q.Get("before"), 10, 64)
	if err != nil {
		return library.ErrNotFound
	}
	list, err := h.list(v.r.Context(), v.lib, before, strings.TrimSpace(q.Get("q")))
	if err != nil {
		return err
	}
	h.show(v, http.StatusOK, "workloads", "Workloads", list)
	return nil
}

// How often the live list looks for a change, and is sent without one: times in it
// are relative.
const (
	look    = time.Second
	refresh = 20 * time.Second
)

// live sends the list again whenever something has changed: server-sent events, as
// the HTML standard has them.
func (h *handler) live(v *visit) error {
	ctx := v.r.Context()
	head := v.w.Header()
	head.Set("Content-Type", "text/event-stream")
	head.Set("X-Accel-Buffering", "no") // for nginx, which would wait for more
	out := http.NewResponseController(v.w)
	state, sent := int64(-1), time.Time{}
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		is, err := v.lib.State(ctx)
		if err != nil {
			return nil //nolint:nilerr // the browser asks again, and is told then
		}
		if is != state || time.Since(sent) > refresh {
			if s, err := h.sessions.of(v, h.secureCookie(v.r)); err != nil || s == nil {
				return nil //nolint:nilerr // the session is over
			}
			if err := h.sendList(v, out); err != nil {
				return nil //nolint:nilerr // the browser is gone
			}
			state, sent = is, time.Now()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (h *handler) sendList(v *visit, out *http.ResponseController) error {
	list, err := h.list(v.r.Context(), v.lib, 0, strings.TrimSpace(v.r.URL.Query().Get("q")))
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := h.pages["workloads"].ExecuteTemplate(&b, "list", list); err != nil {
		return err
	}
	var message bytes.Buffer
	for line := range strings.Lines(b.String()) {
		fmt.Fprintf(&message, "data: %s\n", strings.TrimRight(line, "\r\n"))
	}
	message.WriteString("\n")
	if err := out.SetWriteDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	if _, err := v.w.Write(message.Bytes()); err != nil {
		return err
	}
	return out.Flush()
}

func (h *handler) workload(v *visit) error {
	id, err := v.id()
	if err != nil {
		return err
	}
	w, err := v.lib.Workload(v.r.Context(), id)
	if err != nil {
		return err
	}
	row := workloadRow{Workload: w, Condition: w.Condition(h.silent(time.Now()))}
	if p, err := v.lib.Profile(v.r.Context(), w.Profile); err == nil { // it may be gone
		row.Profile = p.Name
	}
	h.show(v, http.StatusOK, "workload", w.Hostname, row)
	return nil
}

func (h *handler) unpair(v *visit) error {
	id, err := v.id()
	if err != nil {
		return err
	}
	if err := v.lib.Unpair(v.r.Context(), id); err != nil {
		return err
	}
	return done(v, fmt.Sprintf("/workloads/%d", id), "The workload's token is worth nothing any more. What is in force on the machine stays until it is unpaired there.")
}
