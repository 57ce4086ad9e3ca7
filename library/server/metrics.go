package server

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/vpkg/vpkg/library"
)

// metrics are what /metrics shows. Their labels are a server's own words, of which
// there are few: nothing of a request becomes one.
type metrics struct {
	requests     *prometheus.CounterVec
	durations    *prometheus.HistogramVec
	sent         *prometheus.CounterVec
	running      prometheus.Gauge
	activations  *prometheus.CounterVec
	authFailures prometheus.Counter
	handler      http.Handler
}

func newMetrics(s *Server) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "vpkg_library_http_requests_total", Help: "Requests that were answered.",
		}, []string{"route", "code"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "vpkg_library_http_request_duration_seconds", Help: "Time to the end of an answer.",
			Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10, 60, 600},
		}, []string{"route"}),
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "vpkg_library_http_response_bytes_total", Help: "Bytes of bodies that were sent: those of the image route are downloads.",
		}, []string{"route"}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "vpkg_library_http_requests_running", Help: "Requests that are being answered.",
		}),
		activations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "vpkg_library_activations_total", Help: "Activations: paired, refused (the code is not valid), invalid or error.",
		}, []string{"result"}),
		authFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "vpkg_library_api_key_failures_total", Help: "Requests with an API key that is none.",
		}),
	}
	for _, result := range []string{"paired", "refused", "invalid", "error"} {
		m.activations.WithLabelValues(result)
	}
	r := prometheus.NewRegistry()
	r.MustRegister(m.requests, m.durations, m.sent, m.running, m.activations, m.authFailures, workloads{s},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.handler = promhttp.HandlerFor(r, promhttp.HandlerOpts{DisableCompression: true, ErrorHandling: promhttp.ContinueOnError})
	return m
}

func (m *metrics) observe(c *call, took time.Duration) {
	m.requests.WithLabelValues(c.route, strconv.Itoa(c.w.status)).Inc()
	m.durations.WithLabelValues(c.route).Observe(took.Seconds())
	m.sent.WithLabelValues(c.route).Add(float64(c.w.bytes))
}

func (m *metrics) activation(err error) {
	result := "paired"
	switch {
	case errors.Is(err, library.ErrCode):
		result = "refused"
	case errors.Is(err, library.ErrInvalid):
		result = "invalid"
	case err != nil:
		result = "error"
	}
	m.activations.WithLabelValues(result).Inc()
}

// workloads counts them when it is asked.
type workloads struct{ s *Server }

var workloadsDesc = prometheus.NewDesc("vpkg_library_workloads", "Workloads by status.", []string{"status"}, nil)

func (workloads) Describe(ch chan<- *prometheus.Desc) { ch <- workloadsDesc }

func (w workloads) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	counts, err := w.s.Library.CountWorkloads(ctx, time.Time{})
	if err != nil {
		w.s.Log.Error("metrics", "err", err)
		return
	}
	n := map[string]int64{}
	for _, c := range counts {
		n[c.Status] += c.N
	}
	for _, status := range []string{library.StatusActive, library.StatusOff, library.StatusSuspended, library.StatusUninstalled} {
		ch <- prometheus.MustNewConstMetric(workloadsDesc, prometheus.GaugeValue, float64(n[status]), status)
	}
}

func (s *Server) getMetrics(c *call) error {
	s.metrics.handler.ServeHTTP(c.w, c.r)
	return nil
}

type statusAnswer struct {
	Status string `json:"status"`
}

// getHealth says that the process answers.
func (s *Server) getHealth(c *call) error {
	c.json(http.StatusOK, statusAnswer{"ok"})
	return nil
}

// getReady says whether it can do its work: why it cannot is in the log.
func (s *Server) getReady(c *call) error {
	if s.stopping.Err() != nil {
		return refuse(http.StatusServiceUnavailable, "the server is stopping")
	}
	err := s.ready.check(func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(c.r.Context()), 10*time.Second)
		defer cancel()
		return s.Library.Ready(ctx)
	})
	if err != nil {
		c.err = err
		return refuse(http.StatusServiceUnavailable, "the state or the packages cannot be used; why is in the log")
	}
	c.json(http.StatusOK, statusAnswer{"ok"})
	return nil
}

func (s *Server) getCA(c *call) error {
	if s.CA == nil {
		return refuse(http.StatusNotFound, "this server's certificate is not of its own authority")
	}
	c.w.Header().Set("Content-Disposition", `attachment; filename="ca.crt"`)
	c.write(http.StatusOK, "application/x-pem-file", s.CA)
	return nil
}
