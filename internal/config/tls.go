package config

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// ServerTLS returns an HTTP server's TLS settings from PEM files. The files are read again when
// they change; while they are bad the last good ones serve. With clientCAFile, client certificates
// are asked for and verified when given (tls.VerifyClientCertIfGiven): the caller decides who needs
// one. TLS 1.2 is the least accepted version; HTTP/2 and HTTP/1.1 are offered.
func ServerTLS(certFile, keyFile, clientCAFile string) (*tls.Config, error) {
	files := []string{certFile, keyFile}
	if clientCAFile != "" {
		files = append(files, clientCAFile)
	}
	current, err := newReloaded(func() (*tls.Config, error) {
		return loadTLS(certFile, keyFile, clientCAFile)
	}, files...)
	if err != nil {
		return nil, fmt.Errorf("config: tls: %w", err)
	}
	outer := current.get().Clone()
	outer.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return current.get(), nil }
	return outer, nil
}

func loadTLS(certFile, keyFile, clientCAFile string) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	c := &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert},
		NextProtos: []string{"h2", "http/1.1"}, // http.Server does not see the settings of GetConfigForClient
	}
	if clientCAFile == "" {
		return c, nil
	}
	data, err := readFile(clientCAFile)
	if err != nil {
		return nil, err
	}
	c.ClientCAs = x509.NewCertPool()
	if !c.ClientCAs.AppendCertsFromPEM(data) {
		return nil, errNoCertificate
	}
	c.ClientAuth = tls.VerifyClientCertIfGiven
	return c, nil
}

var errNoCertificate = errors.New("holds no PEM certificate")

// firstCertificate parses the certificate that a chain begins with.
func firstCertificate(chain []byte) (*x509.Certificate, error) {
	for {
		var block *pem.Block
		block, chain = pem.Decode(chain)
		if block == nil {
			return nil, errNoCertificate
		}
		if block.Type == "CERTIFICATE" {
			return x509.ParseCertificate(block.Bytes)
		}
	}
}
