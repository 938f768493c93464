package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
)

// resolve makes relative file names absolute against the configuration's directory.
func resolve(v reflect.Value, keys []Key, dir string) {
	for i := range keys {
		k, field := &keys[i], v.Field(keys[i].index)
		switch {
		case k.Kind == KindSection && field.Kind() == reflect.Pointer:
			if !field.IsNil() {
				resolve(field.Elem(), k.Keys, dir)
			}
		case k.Kind == KindSection:
			resolve(field, k.Keys, dir)
		case k.Kind == KindList:
			for j := range field.Len() {
				resolve(field.Index(j), k.Keys, dir)
			}
		case (k.Form == "file" || k.Form == "directory") && field.String() != "" && !filepath.IsAbs(field.String()):
			field.SetString(filepath.Join(dir, field.String()))
		}
	}
}

// checkFiles reports files that are named and cannot serve their purpose.
func (c *Config) checkFiles(r *report) {
	if info, err := os.Stat(c.DataDir); c.DataDir != "" && err == nil && !info.IsDir() {
		r.add("data_dir", show(c.DataDir)+" is not a directory", "the name of a directory; it need not exist yet")
	} else if err != nil && c.DataDir != "" && !errors.Is(err, fs.ErrNotExist) {
		r.add("data_dir", show(c.DataDir)+" cannot be used: "+reason(err), "the name of a directory that this user can reach")
	}
	c.checkPeerFiles(r)
	c.checkSourceFiles(r)
	r.checkKeyPair("listen.tls", c.Listen.TLS.CertFile, c.Listen.TLS.KeyFile)
	r.checkKeyPair("admin.tls", c.Admin.TLS.CertFile, c.Admin.TLS.KeyFile)
	if name := c.Admin.TLS.ClientCAFile; name != "" {
		if pem, ok := r.read("admin.tls.client_ca_file", name); ok && !x509.NewCertPool().AppendCertsFromPEM(pem) {
			r.add("admin.tls.client_ca_file", show(name)+" holds no PEM certificate", "a file with the authorities' certificates in PEM")
		}
	}
	if name := c.Admin.TokenFile; name != "" {
		if data, ok := r.read("admin.token_file", name); ok {
			if _, err := parseToken(data); err != nil {
				r.add("admin.token_file", show(name)+" "+err.Error(), fmt.Sprintf("a file with one line of 1 to %d printable characters without spaces", maxToken))
			}
		}
	}
}

func (r *report) checkKeyPair(path, certFile, keyFile string) {
	if certFile == "" || keyFile == "" {
		return
	}
	cert, certOK := r.read(path+".cert_file", certFile)
	key, keyOK := r.read(path+".key_file", keyFile)
	if !certOK || !keyOK {
		return
	}
	if _, err := firstCertificate(cert); err != nil {
		r.add(path+".cert_file", show(certFile)+" "+err.Error(), "a PEM certificate chain, the server's certificate first")
		return
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		r.add(path+".key_file", show(keyFile)+" is not the key of "+show(certFile), "the certificate's own unencrypted private key in PEM")
	}
}

// read reads a file that the key at path names, and reports when it cannot.
func (r *report) read(path, name string) ([]byte, bool) {
	data, err := readFile(name)
	if err != nil {
		r.add(path, show(name)+" cannot be read: "+reason(err), "the name of a readable file")
	}
	return data, err == nil
}
