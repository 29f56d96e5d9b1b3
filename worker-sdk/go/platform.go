package pawl

import (
	"context"
	"errors"
	"fmt"
	"math"
	mathrand "math/rand/v2"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	pb "pawl.dev/pawl/pawlv1"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// platform is the server's services over one connection.
type platform struct {
	address   string
	conn      *grpc.ClientConn
	runs      pb.RunServiceClient
	steps     pb.StepServiceClient
	workers   pb.WorkerServiceClient
	signals   pb.SignalServiceClient
	waits     pb.WaitServiceClient
	events    pb.EventServiceClient
	payloads  pb.PayloadServiceClient
	workflows pb.WorkflowServiceClient
	// Of a client; nil where every call is a unary one.
	framed *framedCalls
	// For how long a call is made again while no server answers.
	patience time.Duration
	// When a call was answered last, in Unix nanoseconds.
	answered *atomic.Int64
}

func defaultURL() string {
	direct, asked := os.Getenv("PAWL_GRPC_URL"), os.Getenv("PAWL_URL")
	if direct == "" && asked != "" {
		return asked
	}
	direct = orElse(direct, "http://127.0.0.1:50051")
	// The scheme of an address that is not asked for another one.
	if rest, found := strings.CutPrefix(direct, "http"); found {
		return "grpc" + rest
	}
	return direct
}

// apiKey goes with each call, with or without TLS: a server without TLS is on this machine, or behind a proxy.
type apiKey string

func (k apiKey) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(k)}, nil
}

func (k apiKey) RequireTransportSecurity() bool { return false }

// dial makes a connection to a server. http(s)://host:port may be its HTTP or its gRPC address; grpc(s)://host:port
// and host:port are its gRPC address.
func dial(address string, patience time.Duration) (*platform, error) {
	target, secure := "passthrough:///"+address, false
	if strings.Contains(address, "://") {
		parsed, err := url.Parse(address)
		if err != nil || parsed.Host == "" {
			return nil, usage("%q is not the address of a server; write http://host:port or https://host:port", address)
		}
		target, secure = "passthrough:///"+parsed.Host, parsed.Scheme == "https" || parsed.Scheme == "grpcs"
		if strings.HasPrefix(parsed.Scheme, "http") {
			target = discoveryScheme + ":///" + parsed.Scheme + "://" + parsed.Host
		}
		if rest, found := strings.CutPrefix(address, "grpc"); found {
			address = "http" + rest
		}
	}
	transport := insecure.NewCredentials()
	if secure {
		transport = credentials.NewTLS(nil)
	}
	retry := backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithResolvers(discovery{}),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: retry, MinConnectTimeout: 10 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(receiveBytesMax)),
	}
	if key := os.Getenv("PAWL_API_KEY"); key != "" {
		options = append(options, grpc.WithPerRPCCredentials(apiKey(key)))
	}
	conn, err := grpc.NewClient(target, options...)
	if err != nil {
		return nil, usage("%q is not the address of a server: %v", address, err)
	}
	return &platform{
		address: address, conn: conn, patience: patience, answered: &atomic.Int64{},
		runs: pb.NewRunServiceClient(conn), steps: pb.NewStepServiceClient(conn), workers: pb.NewWorkerServiceClient(conn),
		signals: pb.NewSignalServiceClient(conn), waits: pb.NewWaitServiceClient(conn), events: pb.NewEventServiceClient(conn), payloads: pb.NewPayloadServiceClient(conn),
		workflows: pb.NewWorkflowServiceClient(conn),
	}, nil
}

func (p *platform) close() {
	// What it could complain of is that it was closed before.
	_ = p.conn.Close()
}

// errorOf makes an Error of what gRPC says.
func errorOf(err error) error {
	if err == nil {
		return nil
	}
	known := status.Convert(err)
	if known.Code() == codes.Internal && strings.Contains(known.Message(), "error while marshaling") {
		// Nothing was sent: what gRPC calls its own fault is the caller's.
		return unencodable(errors.New(known.Message()))
	}
	made := &RequestError{Reason: Reason(reasonOf(known.Code())), Message: known.Message(), Code: known.Code()}
	for _, detail := range known.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			made.Reason, made.Metadata = Reason(detail.Reason), detail.Metadata
		case *errdetails.RetryInfo:
			made.RetryAfter = detail.RetryDelay.AsDuration()
		}
	}
	return made
}

func errorFromFrame(err *pb.ErrorFrame) error {
	return &RequestError{
		Reason: Reason(err.Reason), Message: err.Message, Code: codes.Code(err.Code),
		Metadata: err.Metadata, RetryAfter: err.RetryAfter.AsDuration(),
	}
}

// reasonOf names a code that came without a reason: FailedPrecondition is FAILED_PRECONDITION.
func reasonOf(code codes.Code) string {
	var name strings.Builder
	for i, r := range code.String() {
		if i > 0 && r >= 'A' && r <= 'Z' {
			name.WriteByte('_')
		}
		name.WriteRune(r)
	}
	return strings.ToUpper(name.String())
}

// isTransient says whether the same request may be answered when it is sent again.
func isTransient(err error) bool {
	var known *RequestError
	if !errors.As(err, &known) {
		return false
	}
	switch known.Reason {
	case Unavailable, "STORE_UNAVAILABLE", "DRAINING", "RATE_LIMITED":
		return true
	}
	return false
}

func (p *platform) noteAnswer() { p.answered.Store(time.Now().UnixNano()) }

// hasAnsweredSince says whether the server has answered a call since then.
func (p *platform) hasAnsweredSince(moment time.Time) bool {
	return p.answered.Load() > moment.UnixNano()
}

// call makes a call, again and again while no server answers it.
func call[Req, Res any](ctx context.Context, p *platform, method func(context.Context, *Req, ...grpc.CallOption) (*Res, error), request *Req) (*Res, error) {
	return retrying(ctx, p, func() (*Res, error) {
		if frame, size := clientFrameOf(request); frame != nil {
			response, err := framed[*Res](ctx, p, frame, size)
			if err != errStreamRefused {
				return response, err
			}
		}
		response, err := method(ctx, request)
		return response, errorOf(err)
	})
}

// retrying calls send until it is answered, or until the time for that is up, which begins when the first
// try has failed: a call may have waited for long before it lost its connection. Requests are idempotent.
func retrying[T any](ctx context.Context, p *platform, send func() (T, error)) (T, error) {
	var none T
	var end time.Time
	pause := pauses{first: 50 * time.Millisecond, most: time.Second}
	for {
		response, err := send()
		if err == nil {
			p.noteAnswer()
			return response, nil
		}
		if ctx.Err() != nil {
			return none, context.Cause(ctx)
		}
		if end.IsZero() {
			end = time.Now().Add(p.patience)
		}
		if !isTransient(err) || time.Now().After(end) {
			return none, p.unreachable(err)
		}
		pause.sleep(ctx)
	}
}

// unreachable says what to do about a call that reached no Pawl server; other errors stay as they are.
func (p *platform) unreachable(err error) error {
	var known *RequestError
	if !errors.As(err, &known) || known.Code != codes.Unavailable {
		return err
	}
	said := *known
	switch {
	case strings.Contains(known.Message, "HTTP/1"):
		said.Message = fmt.Sprintf("what answers at %s does not speak gRPC; give the server's HTTP address in PAWL_URL, or its gRPC address, whose port is 50051 by default, in PAWL_GRPC_URL (%s)", p.address, known.Message)
	case strings.Contains(known.Message, "while dialing"):
		said.Message = fmt.Sprintf("no Pawl server answers at %s; start one with `pawl dev`, or set PAWL_URL (%s)", p.address, known.Message)
	}
	return &said
}

// pauses grow, with jitter, from the first to the most.
type pauses struct{ first, most, next time.Duration }

func (p *pauses) sleep(ctx context.Context) {
	p.next = min(max(p.first, 2*p.next), p.most)
	select {
	case <-time.After(time.Duration(float64(p.next) * (0.5 + mathrand.Float64()/2))):
	case <-ctx.Done():
	}
}

// forever is the patience of workers: about 290 years would overflow a sum, so 100.
const forever = time.Duration(math.MaxInt64 / 3)

func (p *platform) getRun(ctx context.Context, runID string) (*pb.Run, error) {
	response, err := call(ctx, p, p.runs.GetRun, &pb.GetRunRequest{RunId: runID})
	return response.GetRun(), err
}

func (p *platform) journal(ctx context.Context, runID string, afterSeq uint32, take func([]*pb.JournalEntry)) error {
	for {
		page, err := call(ctx, p, p.runs.GetJournal, &pb.GetJournalRequest{RunId: runID, AfterSeq: afterSeq, PageSize: journalPageEntries})
		if err != nil {
			return err
		}
		take(page.Entries)
		if !page.More || len(page.Entries) == 0 {
			return nil
		}
		afterSeq = page.Entries[len(page.Entries)-1].Seq
	}
}

func (p *platform) upload(ctx context.Context, data []byte) (*pb.PayloadRef, error) {
	stream, err := p.payloads.PutPayload(ctx)
	if err != nil {
		return nil, errorOf(err)
	}
	for at := 0; at < len(data); at += chunkBytes {
		// The reply says what went wrong.
		if stream.Send(&pb.PutPayloadRequest{Data: data[at:min(at+chunkBytes, len(data))]}) != nil {
			break
		}
	}
	response, err := stream.CloseAndRecv()
	if err != nil {
		return nil, errorOf(err)
	}
	return response.Ref, nil
}

// download returns the payload with its data.
func (p *platform) download(ctx context.Context, payload *pb.Payload) (*pb.Payload, error) {
	ref := payload.GetRef()
	if ref == nil {
		return payload, nil
	}
	whole := &pb.Payload{Encoding: payload.Encoding, Data: make([]byte, 0, ref.Size)}
	for len(whole.Data) < int(ref.Size) {
		piece, err := call(ctx, p, p.payloads.GetPayload, &pb.GetPayloadRequest{Sha256: ref.Sha256, Offset: uint32(len(whole.Data)), Limit: chunkBytes})
		if err != nil {
			return nil, err
		}
		if len(piece.Data) == 0 {
			return nil, &RequestError{Reason: "INTERNAL", Message: fmt.Sprintf("the payload %s ends after %d of %d bytes", ref.Sha256, len(whole.Data), ref.Size), Code: codes.Internal}
		}
		whole.Data = append(whole.Data, piece.Data...)
	}
	return whole, nil
}

// storable returns what to send of a payload, which is uploaded first where it is large.
func (p *platform) storable(ctx context.Context, payload *pb.Payload) (*pb.Payload, error) {
	if len(payload.Data) <= inlinePayloadBytesMax {
		return payload, nil
	}
	ref, err := p.upload(ctx, payload.Data)
	if err != nil {
		return nil, err
	}
	return &pb.Payload{Encoding: payload.Encoding, Ref: ref}, nil
}
