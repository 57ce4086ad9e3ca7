package server_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/vpkg/vpkg/library/server"
)

func noLimits(s *server.Server) { s.Limits.Requests, s.Limits.KeyRequests, s.Log = -1, -1, nil }

// BenchmarkScript asks for pair.sh over connections that stay.
func BenchmarkScript(b *testing.B) {
	w := newWorld(b, noLimits)
	w.addRelease("25.2.20", "10")
	w.profile(nil)
	address, _, _ := w.start()
	url := "http://" + address + "/api/v18/software/ven/image?pair_script=pair.sh&profile_id=1"
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		c := &http.Client{Transport: &http.Transport{}}
		for pb.Next() {
			get(b, c, url)
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}

func get(b *testing.B, c *http.Client, url string) {
	r, err := c.Get(url)
	if err != nil {
		b.Error(err)
		return
	}
	defer r.Body.Close()
	if n, err := io.Copy(io.Discard, r.Body); err != nil || r.StatusCode != http.StatusOK || n == 0 {
		b.Errorf("status %d, %d bytes, %v", r.StatusCode, n, err)
	}
}

// BenchmarkScriptAfterChange is with a change of the state before each.
func BenchmarkScriptAfterChange(b *testing.B) {
	w := newWorld(b, noLimits)
	w.addRelease("25.2.20", "10")
	p := w.profile(nil)
	for b.Loop() {
		b.StopTimer()
		if _, err := w.lib.SaveProfile(b.Context(), p); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		w.plain("GET", "/api/v18/software/ven/image?pair_script=pair.sh&profile_id=1", "").want(b, 200)
	}
}

const benchSize = 256 << 20

func BenchmarkDownload(b *testing.B) {
	w := newWorld(b, noLimits)
	w.add("ven.el8.rpm", "fake rpm illumio-ven 25.2.20 10.el8 x86_64", benchSize)
	address, _, _ := w.start()
	b.SetBytes(benchSize)
	for b.Loop() {
		get(b, http.DefaultClient, "http://"+address+"/api/v18/software/ven/image?os=el8&arch=x86_64")
	}
}

func BenchmarkDownloadTLS(b *testing.B) {
	w := newWorld(b, noLimits)
	w.add("ven.el8.rpm", "fake rpm illumio-ven 25.2.20 10.el8 x86_64", benchSize)
	ts, _ := w.listen()
	b.SetBytes(benchSize)
	for b.Loop() {
		get(b, ts.Client(), ts.URL+"/api/v18/software/ven/image?os=el8&arch=x86_64")
	}
}
