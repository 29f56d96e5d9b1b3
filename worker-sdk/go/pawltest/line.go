package pawltest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// line is the way of one worker to the server, which can be cut for good.
type line struct {
	listener net.Listener
	mu       sync.Mutex
	isCut    bool
	ends     []net.Conn
}

func openLine(t testing.TB, server string) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{listener: listener}
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", server)
			if err != nil || !l.keep(near, far) {
				near.Close()
				continue
			}
			go io.Copy(far, near)
			go io.Copy(near, far)
		}
	}()
	return l
}

func (l *line) url() string { return "http://" + l.listener.Addr().String() }

// keep notes both ends of a connection; false if the line was cut.
func (l *line) keep(ends ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends = append(l.ends, ends...)
	if l.isCut {
		ends[len(ends)-1].Close()
	}
	return !l.isCut
}

func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = true
	l.listener.Close()
	for _, end := range l.ends {
		end.Close()
	}
}
