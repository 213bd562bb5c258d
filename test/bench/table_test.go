//go:build linux

package main

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestParseResponse(t *testing.T) {
	const whole = "HTTP/1.1 200 OK\r\nDate: today\r\nContent-Length: 5\r\n\r\nhello"
	for n := range len(whole) {
		if body, done, err := parseResponse([]byte(whole[:n])); done || err != nil {
			t.Errorf("%q: %q, %v, %v, want more", whole[:n], body, done, err)
		}
	}
	if body, done, err := parseResponse([]byte(whole)); string(body) != "hello" || !done || err != nil {
		t.Errorf("%q: %q, %v, %v", whole, body, done, err)
	}
	if body, done, err := parseResponse([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")); body == nil || len(body) != 0 || !done || err != nil {
		t.Errorf("an empty body: %q, %v, %v", body, done, err)
	}
	for _, wrong := range []string{
		whole + "!",
		"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello",
		"HTTP/1.1 two hundred\r\n\r\n",
		"nonsense\r\n\r\n",
	} {
		if body, _, err := parseResponse([]byte(wrong)); err == nil {
			t.Errorf("%q was taken for the response %q", wrong, body)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		figures []float64
		want    float64
	}{
		{[]float64{7}, 7},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 1, 100, 2}, 3},
	} {
		if got := median(test.figures); got != test.want {
			t.Errorf("median of %v is %v, want %v", test.figures, got, test.want)
		}
	}
	if got := median(nil); !math.IsNaN(got) {
		t.Errorf("median of nothing is %v", got)
	}
}

func TestPercentile(t *testing.T) {
	var times []time.Duration
	for n := range 200 {
		times = append(times, time.Duration(200-n))
	}
	for share, want := range map[float64]time.Duration{0: 1, 0.5: 100, 0.99: 198, 1: 200} {
		if got := percentile(times, share); got != want {
			t.Errorf("percentile %v of 1 to 200 is %d, want %d", share, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	table := &table{
		title: "Things", note: "Per day.", heading: "kind",
		columns: []string{"new", "old", "never"},
		ratios:  []ratio{{"new", "old"}, {"new", "never"}},
	}
	for round, of := range []float64{10, 1000, 30} { // a disturbance hits all of a round
		table.add("small", "new", of)
		table.add("small", "old", 2*of)
		if round == 0 {
			table.add("large", "old", 12345.6)
		}
	}
	const want = `
### Things

Per day.

| kind | new | old | new ÷ old |
| --- | ---: | ---: | ---: |
| small | 30.0 | 60.0 | 0.50 |
| large | – | 12346 | – |
`
	var got strings.Builder
	table.write(&got)
	if got.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", got.String(), want)
	}
}

func TestFigure(t *testing.T) {
	for f, want := range map[float64]string{0: "0.00", 0.0123: "0.012", 0.5: "0.50", 1.256: "1.26", 12.34: "12.3", 99.99: "100.0", 345.6: "346", 123456: "123456"} {
		if got := figure(f); got != want {
			t.Errorf("figure(%v) = %s, want %s", f, got, want)
		}
	}
}

func TestTargets(t *testing.T) {
	costs, rates := &table{title: titleCosts}, &table{title: titleRates}
	for name, cost := range map[string]float64{floor: 20, naive: 60, "required": 84, "off": 30} {
		costs.add(typical.String(), name, cost)
		rates.add(typical.String(), name, 1e6/cost)
	}
	rates.add(pairs(256), "required", 20_000)
	rates.add(pairs(256), "off", 30_000)
	var got strings.Builder
	tables{costs, rates}.writeTargets(&got, []columns{{"required", "off"}})
	for _, want := range []string{
		"| – 64 channels | floor | ≤ 1.80 | 1.50, met |",
		"| – 64 channels | naive | ≤ 0.55 | 0.50, met |",
		"| – 64 channels | floor | ≤ 2.60 | 4.20, **missed** |",
		"| – 64 channels | naive | ≥ 1.00 | 0.71, **missed** |",
		"| – 256 channels | off | ≥ 0.65 | 0.67, met |",
	} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("%q is not in\n%s", want, got.String())
		}
	}
	if strings.Contains(got.String(), "WAL") {
		t.Errorf("what was not measured is in\n%s", got.String())
	}
	if got := atLeast(0.75).verdict(0.8); got != "0.80, met" {
		t.Errorf("0.8 where 0.75 was wanted: %s", got)
	}
}
