// Package browser opens pages of splitbench in a headless Chromium, in a module of its own so that what drives the browser
// stays out of the program's dependencies.
package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long a test may take in all.
const patience = 4 * time.Minute

// program is the browser: SPLITBENCH_BROWSER, or the first that is installed. `make browser-test` installs one.
func program(t *testing.T) string {
	t.Helper()
	if p := os.Getenv("SPLITBENCH_BROWSER"); p != "" {
		return p
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			return p
		}
	}
	t.Fatal("no Chromium found: run make browser-test, or name one with SPLITBENCH_BROWSER")
	return ""
}

// start starts a browser for the length of a test, without a network but for the hosts that are named.
func start(t *testing.T, hosts ...string) context.Context {
	t.Helper()
	rules := "MAP * ~NOTFOUND"
	for _, host := range hosts {
		rules += ", EXCLUDE " + host
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program(t)),
		chromedp.Flag("host-resolver-rules", rules), chromedp.WindowSize(1200, 900))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses to run as root otherwise
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatalf("start %s: %v", program(t), err)
	}
	return ctx
}

// tab is one tab of the browser, and what a page in it complained of or asked for.
type tab struct {
	context.Context
	mu         sync.Mutex
	complaints []string
}

// action does something in a tab and says nothing but whether it could.
type action = chromedp.Action[chromedp.Void]

// command is a command of the browser's protocol.
func command[P, R any](c cdp.Command[P, R], params P) action {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

// media emulates a medium, and a colour scheme that the reader has set.
func media(medium, scheme string) action {
	return command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Media: medium, Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
}

// open opens a tab whose pages may ask for files alone.
func open(t *testing.T, browser context.Context, actions ...action) *tab {
	t.Helper()
	return openAt(t, browser, "file://", actions...)
}

// openAt opens a tab whose pages may ask for addresses that begin with site.
func openAt(t *testing.T, browser context.Context, site string, actions ...action) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	b := &tab{Context: ctx}
	note := func(format string, args ...any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.complaints = append(b.complaints, fmt.Sprintf(format, args...))
	}
	err := chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventConsoleAPICalled:
			note("console.%s %v", e.Type, e.Args)
		case *runtime.EventExceptionThrown:
			note("exception: %s", e.ExceptionDetails.Text)
		case *cdplog.EventEntryAdded: // what a content security policy forbids comes here
			note("log: %s", e.Entry.Text)
		case *page.EventJavascriptDialogOpening:
			note("dialog: %s", e.Message)
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(e.Request.URL, site) && e.Request.URL != "about:blank" {
				note("request for %s", e.Request.URL)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	do(t, b, command(network.Enable, network.EnableParams{}), command(cdplog.Enable, cdp.Empty{}),
		command(network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: true}))
	do(t, b, actions...)
	return b
}

func do(t *testing.T, b *tab, actions ...action) {
	t.Helper()
	if err := chromedp.Do(b, actions...); err != nil {
		t.Fatal(err)
	}
}

// quiet fails the test for whatever the page complained of so far.
func (b *tab) quiet(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.complaints {
		t.Error(c)
	}
	b.complaints = nil
}

// ask evaluates an expression in the page.
func ask[T any](t *testing.T, b *tab, expression string) T {
	t.Helper()
	v, err := chromedp.Run(b, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("%v: %s", err, expression)
	}
	return v
}
