package pawl

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"google.golang.org/grpc/resolver"
)

const (
	discoveryScheme = "pawl"
	// How long the server at an address may take to describe itself.
	discoveryPatience = 2 * time.Second
	// Between two questions at least.
	discoveryPause = 100 * time.Millisecond
	// After an answer that cannot be followed.
	discoveryRetry = time.Second
)

// discovery finds the gRPC address of a server by its HTTP address, each time that a connection is made. What
// does not describe itself as a Pawl server is taken for a gRPC address.
type discovery struct{}

func (discovery) Scheme() string { return discoveryScheme }

func (discovery) OverrideAuthority(target resolver.Target) string {
	asked, err := url.Parse(target.Endpoint())
	if err != nil {
		return target.Endpoint()
	}
	return asked.Host
}

func (discovery) Build(target resolver.Target, conn resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	asked, err := url.Parse(target.Endpoint())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	asking := &discoverer{asked: asked, conn: conn, cancel: cancel, again: make(chan struct{}, 1)}
	asking.ResolveNow(resolver.ResolveNowOptions{})
	go asking.run(ctx)
	return asking, nil
}

type discoverer struct {
	asked  *url.URL
	conn   resolver.ClientConn
	cancel context.CancelFunc
	again  chan struct{}
}

func (d *discoverer) ResolveNow(resolver.ResolveNowOptions) {
	select {
	case d.again <- struct{}{}:
	default:
	}
}

func (d *discoverer) Close() { d.cancel() }

func (d *discoverer) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.again:
		}
		pause := discoveryPause
		address, err := d.follow(d.ask(ctx))
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			d.conn.ReportError(err)
			d.ResolveNow(resolver.ResolveNowOptions{})
			pause = discoveryRetry
		} else {
			// What it could complain of is reported by the calls as well.
			_ = d.conn.UpdateState(resolver.State{Addresses: []resolver.Address{{Addr: address}}})
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// ask returns the gRPC address that the server names; empty where there is none that does.
func (d *discoverer) ask(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, discoveryPatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.asked.Scheme+"://"+d.asked.Host+"/v1/server", nil)
	if err != nil {
		return ""
	}
	client := http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	var said struct {
		GrpcURL string `json:"grpcUrl"`
	}
	if response.StatusCode != http.StatusOK || json.NewDecoder(io.LimitReader(response.Body, 65_536)).Decode(&said) != nil {
		return ""
	}
	return said.GrpcURL
}

// follow returns where to connect. The server's word is not taken for another host, which would get the key, nor
// for another scheme, so that the key does not go in clear.
func (d *discoverer) follow(told string) (string, error) {
	where := d.asked
	if told != "" {
		parsed, err := url.Parse(told)
		if err != nil || parsed.Hostname() != d.asked.Hostname() || parsed.Scheme != d.asked.Scheme {
			return "", fmt.Errorf("the server at %s says that its gRPC address is %s, which has another host or scheme; set PAWL_GRPC_URL to the gRPC address to use, or start the server with --public-grpc-url", d.asked, told)
		}
		where = parsed
	}
	return hostPort(where), nil
}

// hostPort returns the host with its port, which is the scheme's own one unless the URL names another.
func hostPort(where *url.URL) string {
	if where.Port() != "" {
		return where.Host
	}
	if where.Scheme == "https" || where.Scheme == "grpcs" {
		return where.Host + ":443"
	}
	return where.Host + ":80"
}
