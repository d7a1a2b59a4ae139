package witness

import "testing"

func TestCheckWord(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "auto", "linkerd", "envoy", "off", "http://127.0.0.1:15000/stats"} {
		if err := CheckWord(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"istio", "https://x/", "http://", "127.0.0.1:4191", "file:///etc/passwd"} {
		if CheckWord(s) == nil {
			t.Errorf("%q was taken", s)
		}
	}
}
