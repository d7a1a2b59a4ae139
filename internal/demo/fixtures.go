package demo

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"embed"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"runtime"
	"strings"
	"text/template"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"
)

//go:embed fixtures/*.yaml
var fixtureFiles embed.FS

// hintPrefix marks annotations that speak to the loader; they are taken off before an object is served.
const hintPrefix = "demo.splitbench.io/"

// apiVersionOfServer is what both API servers call themselves.
const apiVersionOfServer = "v1.36.3+splitbench.demo"

// site is what fixtures are filled in with.
type site struct {
	Cluster, Color             string
	PodNet, ServiceNet, NodeIP string
	GatewayIP, GatewayPort     string
	OS, Arch                   string
	Version, AgentPath         string
	OffMesh, GatewayDown       bool
	Route                      bool
	Frontends                  int
	ControlPlane               string // pod of the control plane; "": none
}

func westSite() site {
	return site{Cluster: "west", Color: "#F15A29", PodNet: "10.44", ServiceNet: "10.144", NodeIP: "172.30.44.1"}
}

func eastSite() site {
	return site{Cluster: "east", Color: "#2B5EA8", PodNet: "10.45", ServiceNet: "10.145", NodeIP: "172.30.44.2"}
}

func (s site) with(o Options) site {
	s.GatewayIP, s.GatewayPort = "172.30.44.100", "4143"
	s.OS, s.Arch = runtime.GOOS, runtime.GOARCH // the agent runs here, so this is what the node must say
	s.Version, s.AgentPath = apiVersionOfServer, agentPath
	s.OffMesh, s.GatewayDown, s.Route, s.Frontends = o.OffMesh, o.GatewayDown, o.Route, o.Frontends
	if o.ControlPlane != nil && s.Cluster == "west" {
		s.ControlPlane = controlPlanePod
	}
	return s
}

// fixture is one object with the hints that came with it.
type fixture struct {
	object *unstructured.Unstructured
	age    time.Duration
	podAge time.Duration
	writer string // field manager that wrote it last
	ready  bool
}

// readFixtures fills in one file and decodes its documents.
func readFixtures(name string, s site) ([]fixture, error) {
	docs, err := readDocuments(name, s)
	if err != nil {
		return nil, err
	}
	var found []fixture
	for i, doc := range docs {
		object := &unstructured.Unstructured{} // its decoder keeps whole numbers whole
		if err := yaml.UnmarshalStrict(doc, object); err != nil {
			return nil, fmt.Errorf("fixture %s, document %d: %w", name, i+1, err)
		}
		f, err := takeHints(object)
		if err != nil {
			return nil, fmt.Errorf("fixture %s, document %d: %w", name, i+1, err)
		}
		found = append(found, f)
	}
	return found, nil
}

func readDocuments(name string, s site) ([][]byte, error) {
	t, err := template.ParseFS(fixtureFiles, "fixtures/"+name)
	if err != nil {
		return nil, fmt.Errorf("fixture %s: %w", name, err)
	}
	var filled bytes.Buffer
	if err := t.Execute(&filled, s); err != nil {
		return nil, fmt.Errorf("fixture %s: %w", name, err)
	}
	return bytes.Split(filled.Bytes(), []byte("\n---\n")), nil
}

func takeHints(o *unstructured.Unstructured) (fixture, error) {
	f := fixture{object: o, age: 2 * time.Hour, writer: "kubectl-client-side-apply", ready: true}
	rest := o.GetAnnotations()
	for name, value := range rest {
		hint, ok := strings.CutPrefix(name, hintPrefix)
		if !ok {
			continue
		}
		delete(rest, name)
		var err error
		switch hint {
		case "age":
			f.age, err = time.ParseDuration(value)
		case "pod-age":
			f.podAge, err = time.ParseDuration(value)
		case "manager":
			f.writer = value
		case "ready":
			f.ready = value == "true"
		default:
			err = fmt.Errorf("no such hint")
		}
		if err != nil {
			return f, fmt.Errorf("%s %s: hint %s=%q: %w", o.GetKind(), o.GetName(), name, value, err)
		}
	}
	if len(rest) == 0 {
		rest = nil
	}
	o.SetAnnotations(rest)
	f.podAge = cmp.Or(f.podAge, f.age)
	return f, nil
}

// uid is the same for the same object in every run, so that reports of one seed are alike.
func uid(cluster, kind, namespace, name string) string {
	b := sha256.Sum256([]byte(strings.Join([]string{cluster, kind, namespace, name}, "\x00")))
	b[6] = b[6]&0x0f | 0x80 // version 8: made by rules of our own
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// suffix is n characters of the alphabet that Kubernetes makes names of, fixed by what it is for.
func suffix(n int, parts ...string) string {
	const alphabet = "bcdfghjklmnpqrstvwxz2456789"
	b := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	out := make([]byte, n)
	for i := range out {
		out[i] = alphabet[int(b[i])%len(alphabet)]
	}
	return string(out)
}

// newCertificate makes the certificate of the API servers, which signs itself and lives as long as the process: as TLS
// shows it, and as a client trusts it.
func newCertificate(now time.Time) (*tls.Config, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make the certificate: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "splitbench demo"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(30 * 24 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:              []string{"localhost", "kubernetes"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, fmt.Errorf("make the certificate: %w", err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		MinVersion:   tls.VersionTLS12,
		// Upgraded connections need HTTP/1.1; clients that upgrade offer nothing else.
		NextProtos: []string{"h2", "http/1.1"},
	}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

func kubeconfig(ca []byte, clusters ...*cluster) ([]byte, error) {
	config := clientcmdapi.NewConfig()
	config.CurrentContext = clusters[0].site.Cluster
	for _, c := range clusters {
		name := c.site.Cluster
		config.Clusters[name] = &clientcmdapi.Cluster{Server: "https://" + c.address, CertificateAuthorityData: ca}
		config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: c.token}
		config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	}
	b, err := clientcmd.Write(*config)
	if err != nil {
		return nil, fmt.Errorf("write the kubeconfig: %w", err)
	}
	return b, nil
}
