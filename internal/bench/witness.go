package bench

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/wire"
	"github.com/splitbench/splitbench/internal/witness"
)

// The words of --witness besides an address.
const (
	WitnessAuto    = "auto"
	WitnessLinkerd = "linkerd"
	WitnessEnvoy   = "envoy"
	WitnessOff     = "off"
)

// Bounds of reading the proxy's counters.
const (
	maxWitnessPage = 4 << 20 // of the lines that are kept
	witnessTimeout = 10 * time.Second
)

// ParseWitness checks what --witness says: auto, linkerd, envoy, off, or the address of a page of metrics inside the pod.
func ParseWitness(s string) error {
	switch s {
	case "", WitnessAuto, WitnessLinkerd, WitnessEnvoy, WitnessOff:
		return nil
	}
	if u, err := url.Parse(s); err == nil && u.Scheme == "http" && u.Host != "" {
		return nil
	}
	return fmt.Errorf("--witness %q: want auto, linkerd, envoy, off, or the http address of the proxy's metrics as the pod reaches it", s)
}

// witnessAddress is where the proxy of the pod has its counters.
func witnessAddress(word string, s law.Snapshot) (witness.Kind, string, error) {
	switch word {
	case WitnessLinkerd:
		return witness.Linkerd, witness.LinkerdURL, nil
	case WitnessEnvoy:
		return witness.Envoy, envoyURL(s.Source), nil
	case "", WitnessAuto:
	default:
		return witness.KindOf(word), word, nil
	}
	switch pod := s.Source; {
	case s.Through != nil:
		return "", "", fmt.Errorf("the pods of Service %s draw the backends, and only the source pod's proxy can be asked", s.Through.Service.Name)
	case s.Law.Provider == law.ProviderTraefik:
		return "", "", errors.New("a Traefik draws the backends, not a proxy in the client pod")
	case s.Law.Provider == law.ProviderIstio:
		return witness.Envoy, envoyURL(pod), nil
	case pod.Meshed:
		return witness.Linkerd, witness.LinkerdURL, nil
	}
	return "", "", errors.New("no proxy is known in the client pod")
}

// envoyFilter has Envoy itself leave out what is not asked for.
const envoyFilter = `^(cluster\..*\.(upstream_rq_(total|retry|completed|pending_overflow|pending_failure_eject)|upstream_cx_(total|none_healthy)|membership_healthy)|server\.uptime)$`

func envoyURL(pod law.Pod) string {
	address := witness.EnvoyURL
	if strings.Contains(pod.ProxyContainer, "istio") || strings.Contains(pod.ProxyImage, "istio") {
		address = witness.IstioURL
	}
	return address + "?filter=" + url.QueryEscape(envoyFilter)
}

// witnessBefore asks the proxies for their counters right before the burst. That there is no witness never ends a run.
func (r *run) witnessBefore(ctx context.Context, sources []*source) error {
	if r.cfg.Witness == WitnessOff {
		return nil
	}
	w := &record.WitnessFacts{}
	r.m.Witness = w
	kind, address, err := witnessAddress(r.cfg.Witness, *r.m.Before)
	if err != nil {
		w.Why = err.Error()
		return nil //nolint:nilerr // no witness is a warning, never a failure
	}
	w.Kind, w.URL = kind, address
	for n, s := range sources {
		pages := record.ProxyPages{Pod: s.pod.Name}
		if pages.Before, err = r.readPage(ctx, s.client, w); err != nil || w.Why != "" {
			return err
		}
		s.asked = time.Now()
		w.Pods = append(w.Pods, pages)
		if err := r.folder.WriteFile(record.PageFile(record.PageBefore, n), orNewline(pages.Before)); err != nil {
			return &StoreError{err}
		}
	}
	return nil
}

// witnessAfter asks again right after the burst, also where that did not end well.
func (r *run) witnessAfter(ctx context.Context, sources []*source) error {
	w := r.m.Witness
	if w == nil || w.Why != "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), witnessTimeout)
	defer cancel()
	for n, s := range sources {
		pages := &w.Pods[n]
		err := errNoSession
		if s.client != nil {
			pages.After, err = r.readPage(ctx, s.client, w)
		}
		pages.ElapsedMs = time.Since(s.asked).Milliseconds()
		if err != nil {
			w.Why = "its counters could not be read after the burst: " + brief(err.Error())
		}
		if w.Why != "" {
			return nil
		}
		if err := r.folder.WriteFile(record.PageFile(record.PageAfter, n), orNewline(pages.After)); err != nil {
			return &StoreError{err}
		}
	}
	return nil
}

var errNoSession = errors.New("there is no session any more")

// orNewline keeps a page without any line of the split as a file, too.
func orNewline(page []byte) []byte {
	if len(page) == 0 {
		return []byte("\n")
	}
	return page
}

// readPage fetches the lines of the page that say something of the split. Only the way to the pod can fail; what the proxy
// did not say is w.Why.
func (r *run) readPage(ctx context.Context, f fetcher, w *record.WitnessFacts) ([]byte, error) {
	res, body, err := f.Fetch(ctx, wire.FetchRequest{
		URL: w.URL, TimeoutMs: witnessTimeout.Milliseconds(), MaxBytes: maxWitnessPage,
		Keep: witness.TargetOf(*r.m.Before).Keep(w.Kind),
	})
	switch {
	case err != nil:
		return nil, err
	case res.Error != "":
		w.Why = "the proxy's counters could not be read at " + w.URL + ": " + brief(res.Error)
	case res.Status != 200:
		w.Why = fmt.Sprintf("the proxy's counters could not be read at %s: status %d", w.URL, res.Status)
	case res.Truncated:
		w.Why = fmt.Sprintf("the proxy's counters at %s say more than %d MiB of this split, or the agent is too old to leave out the rest",
			w.URL, maxWitnessPage>>20)
	}
	return body, nil
}
