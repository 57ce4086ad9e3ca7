//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/vpkg/vpkg/agent"
)

// activate pairs many machines at once, and then asks another process which of those
// that were told to be paired are there.
func (l *libraryBench) activate(ctx context.Context, server string) error {
	client, err := l.client()
	if err != nil {
		return err
	}
	ids := make([]string, activations)
	times := make([]time.Duration, activations)
	errs := make([]error, activators)
	var wg sync.WaitGroup
	start := time.Now()
	for a := range activators {
		wg.Go(func() {
			for i := a; i < activations && errs[a] == nil; i += activators {
				began := time.Now()
				ids[i], errs[a] = l.activateOne(ctx, client, server, i)
				times[i] = time.Since(began)
			}
		})
	}
	wg.Wait()
	seconds := time.Since(start).Seconds()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	out, err := l.do(ctx, "workload", "list", "--json", "--limit", strconv.Itoa(activations+1))
	if err != nil {
		return err
	}
	var there []struct {
		ID int64 `json:"id"`
	}
	if err := json.Unmarshal([]byte(out), &there); err != nil {
		return err
	}
	has := map[string]bool{}
	for _, w := range there {
		has[strconv.FormatInt(w.ID, 10)] = true
	}
	lost := 0
	for _, id := range ids {
		if !has[id] {
			lost++
		}
		delete(has, id) // two machines with one id would be one lost
	}
	slices.Sort(times)
	l.lines = append(l.lines, fmt.Sprintf("%d activations, https, %d at once: %d lost, %.0f in a second, 99 of 100 within %d ms, each on disk before it was answered",
		activations, activators, lost, activations/seconds, times[activations*99/100].Milliseconds()))
	return nil
}

// client trusts the server's authority, and keeps its connections.
func (l *libraryBench) client() (*http.Client, error) {
	ca, err := os.ReadFile(l.ca)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: activators,
	}}, nil
}

func (l *libraryBench) activateOne(ctx context.Context, client *http.Client, server string, i int) (string, error) {
	body, err := json.Marshal(agent.ActivateRequest{
		Code: l.code, RequestID: fmt.Sprintf("%032x", i+1), Hostname: fmt.Sprintf("host%05d", i), OSID: "debian-x86_64-13",
		Version: l.release, Formats: []string{agent.FormatNftables},
	})
	if err != nil {
		return "", err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+server+agent.APIPath+"/activate", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, agent.MaxAnswer))
	if err != nil {
		return "", err
	}
	var a agent.Activation
	if err := json.Unmarshal(b, &a); err != nil || answer.StatusCode != http.StatusCreated || a.AgentID == "" {
		return "", fmt.Errorf("activation %d: %s: %s", i, answer.Status, b)
	}
	return a.AgentID, nil
}

// print writes what was measured.
func (l *libraryBench) print(rows []download) {
	fmt.Fprintf(l.w, "\n## A library server\n\nDownloads of one package of %.0f MB by %d curl at once, each three times over one connection, to /dev/null; 10^6 bytes in a second,\nthe median of %d rounds by turns. Clients and servers share the cores. TLS is 1.3 with AES-128-GCM and the same certificate.\n\n| | MB/s | of nginx |\n|---|---|---|\n",
		float64(l.size)/1e6, downloaders, rounds)
	for _, r := range rows {
		of := ""
		if r.base > 0 {
			of = fmt.Sprintf("%.2f×", r.rate/r.base)
		}
		fmt.Fprintf(l.w, "| %s | %.0f | %s |\n", r.name, r.rate, of)
	}
	fmt.Fprintln(l.w)
	for _, line := range l.lines {
		fmt.Fprintf(l.w, "- %s\n", line)
	}
}
