// Command webhook answers for every admission webhook of a rig's cluster.
//
// Nothing runs on a rig's nodes, so nothing could answer the API server there. Instead the API server is told to reach
// the cluster's network through a proxy, and this is it: whoever asks it for a connection gets one to itself, with a
// certificate for the name that is asked for, and is told that the object is fine. An object that is labelled
// rig.platctl.dev/behaviour: denied is refused. It also answers as a kubelet that is asked for a container's log.
//
// Where a connection should go is what the API server found out itself: without a Service that has a ready pod it
// does not come here at all, and the request fails as it would in any cluster.
package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: webhook SOCKET CA-CERTIFICATE CA-KEY")
	}
	authority, err := tls.LoadX509KeyPair(os.Args[2], os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	issuer := &issuer{authority: authority, key: key, made: map[string]*tls.Certificate{}}
	listener, err := net.Listen("unix", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	connections := make(queue)
	go func() {
		server := &http.Server{Handler: http.HandlerFunc(review), TLSConfig: &tls.Config{GetCertificate: issuer.certificate}}
		log.Fatal(server.ServeTLS(connections, "", ""))
	}()
	for {
		connection, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go connect(connection, connections)
	}
}

// connect answers a CONNECT and hands the connection on.
func connect(connection net.Conn, connections queue) {
	reader := bufio.NewReader(connection)
	request, err := http.ReadRequest(reader)
	if err != nil || request.Method != http.MethodConnect {
		log.Printf("no CONNECT: %v", err)
		connection.Close()
		return
	}
	log.Printf("CONNECT %s", request.Host)
	if _, err := io.WriteString(connection, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		connection.Close()
		return
	}
	connections <- buffered{connection, reader}
}

// buffered is a connection of which something may have been read already.
type buffered struct {
	net.Conn
	reader *bufio.Reader
}

func (b buffered) Read(bytes []byte) (int, error) { return b.reader.Read(bytes) }

// queue is a listener for connections that are there already.
type queue chan net.Conn

func (q queue) Accept() (net.Conn, error) {
	connection, open := <-q
	if !open {
		return nil, errors.New("closed")
	}
	return connection, nil
}
func (q queue) Close() error   { return nil }
func (q queue) Addr() net.Addr { return &net.UnixAddr{Name: "queue", Net: "unix"} }

// issuer makes certificates for the names that are asked for.
type issuer struct {
	authority tls.Certificate
	key       *ecdsa.PrivateKey
	lock      sync.Mutex
	made      map[string]*tls.Certificate
}

func (i *issuer) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	i.lock.Lock()
	defer i.lock.Unlock()
	if known, ok := i.made[hello.ServerName]; ok {
		return known, nil
	}
	parent, err := x509.ParseCertificate(i.authority.Certificate[0])
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		DNSNames:     []string{hello.ServerName},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(365 * 24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	bytes, err := x509.CreateCertificate(rand.Reader, template, parent, &i.key.PublicKey, i.authority.PrivateKey)
	if err != nil {
		return nil, err
	}
	made := &tls.Certificate{Certificate: [][]byte{bytes}, PrivateKey: i.key}
	i.made[hello.ServerName] = made
	return made, nil
}

type admissionReview struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Request    *request  `json:"request,omitempty"`
	Response   *response `json:"response,omitempty"`
}

type request struct {
	UID    string `json:"uid"`
	Object struct {
		Metadata struct {
			Labels map[string]string `json:"labels"`
		} `json:"metadata"`
	} `json:"object"`
}

type response struct {
	UID     string  `json:"uid"`
	Allowed bool    `json:"allowed"`
	Status  *status `json:"status,omitempty"`
}

type status struct {
	Message string `json:"message"`
}

// say is a kubelet's answer to whoever wants a container's log: two lines, for every container.
func say(writer http.ResponseWriter, asked *http.Request) {
	parts := strings.Split(strings.Trim(asked.URL.Path, "/"), "/")
	if len(parts) != 4 {
		http.Error(writer, "not containerLogs/NAMESPACE/POD/CONTAINER", http.StatusBadRequest)
		return
	}
	fmt.Fprintf(writer, "%s begins\nfatal: the database refuses the password\n", parts[3])
}

func review(writer http.ResponseWriter, asked *http.Request) {
	if strings.HasPrefix(asked.URL.Path, "/containerLogs/") {
		say(writer, asked)
		return
	}
	var review admissionReview
	if err := json.NewDecoder(asked.Body).Decode(&review); err != nil || review.Request == nil {
		http.Error(writer, "no AdmissionReview with a request", http.StatusBadRequest)
		return
	}
	review.Response = &response{UID: review.Request.UID, Allowed: true}
	if review.Request.Object.Metadata.Labels["rig.platctl.dev/behaviour"] == "denied" {
		review.Response.Allowed = false
		review.Response.Status = &status{Message: "labelled to be denied"}
	}
	log.Printf("%s%s: allowed: %t", asked.Host, asked.URL.Path, review.Response.Allowed)
	review.Request = nil
	writer.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(writer).Encode(review); err != nil {
		log.Print(err)
	}
}
