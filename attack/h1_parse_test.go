package attack

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// Responses by RFC 9112; what is refused is what its sections 5.1, 5.2, 6.1, 6.3, 7.1 and 11.2 warn of.
var answers = []struct {
	name, method, in string
	status           int
	body             string
	reuse            bool
	err              error
}{
	{"content-length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", true, nil},
	{"no reason", "GET", "HTTP/1.1 404\r\ncontent-length:0\r\n\r\n", 404, "", true, nil},
	{"same length twice", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\ncontent-LENGTH: 1\r\n\r\nx", 200, "x", true, nil},
	{"chunked", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", 200, "hello!", true, nil},
	{"space before an extension", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n1 ;a=b\r\n!\r\n0\r\n\r\n", 0, "", false, errSyntax},
	{"chunk extension", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"b\"\r\nhello\r\nA \r\n, world!!!\r\n0\r\n\r\n", 200, "hello, world!!!", true, nil},
	{"trailer", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\n", 200, "x", true, nil},
	{"until the end", "GET", "HTTP/1.1 200 OK\r\nServer: x\r\n\r\nto the end", 200, "to the end", false, nil},
	{"interim", "GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, "x", true, nil},
	{"connection: close", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: x, Close\r\n\r\nx", 200, "x", false, nil},
	{"HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, "x", false, nil},
	{"HTTP/1.0 keep-alive", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\nx", 200, "x", true, nil},
	{"HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", 200, "", true, nil},
	{"HEAD of chunked", "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, "", true, nil},
	{"204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", true, nil},
	{"204 with a length", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n", 204, "", false, nil},
	{"304 with a length", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", 304, "", true, nil},
	{"more than the answer", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200", 200, "x", false, nil},
	{"long body", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + strings.Repeat("x", 300_000), 200, strings.Repeat("x", maxBody), true, nil},
	{"long header", "GET", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 60_000) + "\r\nContent-Length: 1\r\n\r\nx", 200, "x", true, nil},

	{"length and chunked", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0, "", false, errFraming},
	{"two lengths", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", 0, "", false, errFraming},
	{"list of lengths", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello", 0, "", false, errFraming},
	{"signed length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", 0, "", false, errFraming},
	{"empty length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n", 0, "", false, errFraming},
	{"endless length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", 0, "", false, errFraming},
	{"another coding", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 0, "", false, errFraming},
	{"chunked twice", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0, "", false, errFraming},
	{"chunked HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0, "", false, errFraming},
	{"bare LF", "GET", "HTTP/1.1 200 OK\nContent-Length: 5\r\n\nhello", 200, "hello", true, nil},
	{"bare LF of a chunk", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", 0, "", false, errSyntax},
	{"bare CR", "GET", "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", 0, "", false, errSyntax},
	{"NUL", "GET", "HTTP/1.1 200 OK\r\nA: b\x00c\r\n\r\n", 0, "", false, errSyntax},
	{"folded line", "GET", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", 0, "", false, errSyntax},
	{"space before the colon", "GET", "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello", 0, "", false, errSyntax},
	{"no colon", "GET", "HTTP/1.1 200 OK\r\nhello\r\n\r\n", 0, "", false, errSyntax},
	{"no name", "GET", "HTTP/1.1 200 OK\r\n: x\r\n\r\n", 0, "", false, errSyntax},
	{"HTTP/2", "GET", "HTTP/2.0 200 OK\r\n\r\n", 0, "", false, errSyntax},
	{"status of two digits", "GET", "HTTP/1.1 20 OK\r\nA: b\r\n\r\n", 0, "", false, errSyntax},
	{"status of four digits", "GET", "HTTP/1.1 2000 OK\r\nA: b\r\n\r\n", 0, "", false, errSyntax},
	{"another protocol", "GET", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", 0, "", false, errSyntax},
	{"not HTTP", "GET", "SSH-2.0-OpenSSH_9.2\r\n", 0, "", false, errSyntax},
	{"chunk of no size", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", 0, "", false, errSyntax},
	{"chunk of a huge size", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000000000000000\r\n", 0, "", false, errSyntax},
	{"chunk longer than said", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n", 0, "", false, errSyntax},
	{"chunks of extensions", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1;"+strings.Repeat("x", 200)+"\r\nx\r\n", 50), 0, "", false, errTooLarge},
	{"huge trailer", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: " + strings.Repeat("x", 5000) + "\r\n\r\n", 0, "", false, errTooLarge},
	{"huge header", "GET", "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", maxHeaderBytes) + "\r\n\r\n", 0, "", false, errTooLarge},
	{"endless interim", "GET", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 10_000), 0, "", false, errTooLarge},
	{"cut in the header", "GET", "HTTP/1.1 200 OK\r\nContent-Le", 0, "", false, errCut},
	{"cut in the body", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", 0, "", false, errCut},
	{"cut in a chunk", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", 0, "", false, errCut},
	{"no last chunk", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 0, "", false, errCut},
}

// parse reads one answer from r as an engine does.
func parse(r io.Reader, method string) (a h1Answer, err error) {
	p := h1Reader{src: r, epoch: time.Now()}
	p.begin()
	if err := p.more(); err != nil {
		return a, cut(err)
	}
	err = p.answer(method == http.MethodHead, &a)
	return a, err
}

func TestAnswers(t *testing.T) {
	for _, tt := range answers {
		t.Run(tt.name, func(t *testing.T) {
			for how, r := range map[string]io.Reader{
				"at once": strings.NewReader(tt.in), "by single bytes": iotest.OneByteReader(strings.NewReader(tt.in)),
			} {
				if len(tt.in) > 200_000 && how != "at once" {
					continue
				}
				a, err := parse(r, tt.method)
				if tt.err != nil {
					// A line that is both too long and not ended yet is refused as what is noticed first.
					if !errors.Is(err, tt.err) && !(tt.err == errTooLarge && errors.Is(err, errSyntax)) {
						t.Errorf("%s: %v, want %v", how, err, tt.err)
					}
					continue
				}
				reuse := tt.reuse || tt.name == "more than the answer" && how != "at once"
				if err != nil || int(a.status) != tt.status || string(a.body) != tt.body || a.reuse != reuse {
					t.Errorf("%s: status %d, body of %d bytes, reuse %v, %v", how, a.status, len(a.body), a.reuse, err)
				}
			}
		})
	}
}

func FuzzAnswer(f *testing.F) {
	for _, a := range answers {
		if len(a.in) < 10_000 {
			f.Add(a.in, a.method == http.MethodHead)
		}
	}
	f.Fuzz(func(t *testing.T, in string, head bool) {
		method := http.MethodGet
		if head {
			method = http.MethodHead
		}
		a, err := parse(strings.NewReader(in), method)
		slow, slowErr := parse(iotest.OneByteReader(strings.NewReader(in)), method)
		if (err == nil) != (slowErr == nil) || slow.status != a.status || string(slow.body) != string(a.body) {
			t.Fatalf("the answer depends on how it comes: %+v, %v and %+v, %v", a, err, slow, slowErr)
		}
		if err != nil {
			return
		}
		res, body, err := oracle(in, method)
		switch {
		case err != nil:
			t.Fatalf("accepted as %d with %d bytes; net/http says %v", a.status, len(a.body), err)
		case res.StatusCode != int(a.status), string(body[:min(len(body), maxBody)]) != string(a.body):
			t.Fatalf("read as %d %q; net/http reads %d %q", a.status, a.body, res.StatusCode, body)
		case a.reuse && res.Close:
			t.Fatal("would be used again; net/http closes it")
		}
		for name := range res.Header {
			v, ok := rawHeader(a.head, name)
			if want := res.Header.Get(name); ok && string(v) != want {
				t.Fatalf("header %q: got %q, net/http %q", name, v, want)
			}
		}
	})
}

// oracle reads as net/http's client does: interim responses are passed over.
func oracle(in, method string) (*http.Response, []byte, error) {
	r := bufio.NewReaderSize(strings.NewReader(in), 128<<10)
	for {
		res, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return nil, nil, err
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return nil, nil, err
		}
		res.Body.Close()
		if res.StatusCode >= 200 || res.StatusCode == http.StatusSwitchingProtocols {
			return res, body, nil
		}
	}
}

func TestParsingDoesNotAllocate(t *testing.T) {
	in := "HTTP/1.1 200 OK\r\nServer: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
	r := strings.NewReader(in)
	p := h1Reader{src: r, epoch: time.Now()}
	var a h1Answer
	if n := testing.AllocsPerRun(100, func() {
		r.Reset(in)
		p.begin()
		if err := errors.Join(p.more(), p.answer(false, &a)); err != nil || string(a.body) != "hello world" {
			t.Errorf("%q, %v", a.body, err)
		}
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}
