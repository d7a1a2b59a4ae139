package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
)

// SignatureFile shows who stands for a run: an SSH signature of its sums, as ssh-keygen -Y sign makes it.
const SignatureFile = SumsFile + signatureExt

const (
	signatureExt = ".sig"
	// signatureNamespace is what ssh-keygen calls -n: a signature made for another purpose counts for nothing here.
	signatureNamespace = "splitbench"
)

// Sign writes the signature of a run that is whole, by an SSH private key in PEM.
func (f Folder) Sign(key []byte) error {
	switch v, err := f.Verify(); {
	case err != nil:
		return err
	case v.Running:
		return fmt.Errorf("sign run %s: it %w: wait for its end", f.ID, ErrRunning)
	case v.State == Damaged:
		return f.damaged(v)
	}
	return SignFile(filepath.Join(f.Dir, SumsFile), key)
}

// SignFile writes the signature of any file beside it, as FILE.sig.
func SignFile(path string, key []byte) error {
	message, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(key)
	if errors.As(err, new(*ssh.PassphraseMissingError)) {
		return fmt.Errorf(
			"sign %s: the key has a passphrase: sign with ssh-keygen -Y sign -n %s -f KEY %q, which asks for it",
			path, signatureNamespace, path)
	}
	if err != nil {
		return fmt.Errorf("sign %s: read key: %w", path, err)
	}
	s, err := sshsig.Sign(bytes.NewReader(message), signer, sshsig.HashSHA512, signatureNamespace)
	if err != nil {
		return fmt.Errorf("sign %s: %w", path, err)
	}
	return atomicWrite(filepath.Dir(path), filepath.Base(path)+signatureExt, sshsig.Armor(s))
}

// Signer is the key that signed a file, by the signature beside it. A file without one has none; a signature that is
// not of these bytes is an error.
func Signer(path string) (ssh.PublicKey, error) {
	dir, name := filepath.Split(path)
	armored, err := readRegular(dir, name+signatureExt)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	message, err2 := readRegular(dir, name)
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	s, err := sshsig.Unarmor(armored)
	if err == nil {
		err = sshsig.Verify(bytes.NewReader(message), s, s.PublicKey, s.HashAlgorithm, signatureNamespace)
	}
	if err != nil {
		return nil, fmt.Errorf("is no signature of %s: %w", name, err)
	}
	return s.PublicKey, nil
}

// Keys are public keys that are trusted.
type Keys []ssh.PublicKey

// ReadKeys reads public keys as they stand in id_ed25519.pub, authorized_keys and allowed_signers, one a line.
func ReadKeys(b []byte) (Keys, error) {
	var keys Keys
	for len(bytes.TrimSpace(b)) > 0 {
		key, _, _, rest, err := ssh.ParseAuthorizedKey(b)
		if err != nil {
			break // a line after the last key: a comment
		}
		keys, b = append(keys, key), rest
	}
	if len(keys) == 0 {
		return nil, errors.New("it holds no SSH public key: name a file such as id_ed25519.pub")
	}
	return keys, nil
}

// Have reports whether a key is one of them.
func (k Keys) Have(key ssh.PublicKey) bool {
	return key != nil && slices.ContainsFunc(k, func(one ssh.PublicKey) bool {
		return bytes.Equal(one.Marshal(), key.Marshal())
	})
}

// Fingerprint names a key as ssh-keygen -l does; none is "".
func Fingerprint(key ssh.PublicKey) string {
	if key == nil {
		return ""
	}
	return ssh.FingerprintSHA256(key)
}
