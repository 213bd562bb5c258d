// Command client uses a client that oapi-codegen has generated. The arguments are the server's URL and a token.
package main

import (
	"bytes"
	"context"
	"log"
	"net/http"
	"os"
	"reflect"
	"slices"

	"github.com/google/uuid"

	"httpipe/test/openapi/client/generated"
)

const (
	namespace, channel = "go", "demo"
	binary             = "application/octet-stream"
)

var (
	ctx     = context.Background()
	message = bytes.Repeat([]byte{0, 1, 2, 253, 254, 255}, 50_000)
)

func main() {
	log.SetFlags(log.Lshortfile)
	client := must(generated.NewClientWithResponses(os.Args[1]))
	auditor := must(generated.NewClientWithResponses(os.Args[1], generated.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+os.Args[2])
		return nil
	})))
	refusals(client)
	for range 2 {
		exchange := delivery(client)
		receipt := must(client.GetReceiptWithResponse(ctx, exchange, nil)).JSON200
		expect(receipt.Outcome, "delivered")
		expect(*receipt.Bytes, int64(len(message)))
		expect(must(auditor.GetExchangeWithResponse(ctx, exchange)).JSON200.EndedAt, receipt.EndedAt)
	}
	deletion(client)
	pages(auditor)
}

// refusals are the answers where no other client is.
func refusals(client *generated.ClientWithResponses) {
	atOnce, wrong := "0", "soon"
	refused(must(client.LookWithResponse(ctx, namespace, channel)).HTTPResponse, 404, "not_found")
	refused(must(client.ConsumeWithResponse(ctx, namespace, channel, &generated.ConsumeParams{Wait: &atOnce})).HTTPResponse, 408, "timed_out")
	refused(must(client.ConsumeWithResponse(ctx, namespace, channel, &generated.ConsumeParams{Wait: &wrong})).HTTPResponse, 400, "bad_wait")
	produced := must(client.ProduceWithBodyWithResponse(ctx, namespace, channel, &generated.ProduceParams{Wait: &atOnce}, binary, bytes.NewReader(message)))
	refused(produced.HTTPResponse, 408, "timed_out")
	refused(must(client.DeleteChannelWithResponse(ctx, namespace, channel)).HTTPResponse, 404, "not_found")

	asJSON := func(_ context.Context, r *http.Request) error {
		r.Header.Set("Accept", "application/json")
		return nil
	}
	expect(must(client.GetReceiptWithResponse(ctx, uuid.UUID{}, nil, asJSON)).ApplicationproblemJSON404.Code, "not_found")
}

// delivery sends the message from a producer to a consumer, and returns the exchange's id.
func delivery(client *generated.ClientWithResponses) uuid.UUID {
	produced := make(chan *generated.ProduceResponse)
	go func() {
		produced <- must(client.ProduceWithBodyWithResponse(ctx, namespace, channel, nil, binary, bytes.NewReader(message)))
	}()
	for !slices.Contains(*must(client.ListNamespacesWithResponse(ctx, nil)).JSON200, namespace) {
	}
	seen := must(client.LookWithResponse(ctx, namespace, channel)).Headers200
	expect([]int{seen.HttpipeProducers, seen.HttpipeConsumers}, []int{1, 0})
	expect(*must(client.ListChannelsWithResponse(ctx, namespace, nil)).JSON200, []string{channel})
	expect((*must(client.GetStateWithResponse(ctx, nil)).JSON200)[namespace], []string{channel})

	consumed := must(client.ConsumeWithResponse(ctx, namespace, channel, nil))
	expect(consumed.HTTPResponse.StatusCode, 200)
	expect(bytes.Equal(consumed.Body, message), true)
	receipt := <-produced
	expect(receipt.HTTPResponse.StatusCode, 200)
	expect(receipt.Headers200.HttpipeExchange, consumed.Headers200.HttpipeExchange)
	return receipt.Headers200.HttpipeExchange
}

// deletion deletes the channel under a waiting consumer.
func deletion(client *generated.ClientWithResponses) {
	consumed := make(chan *generated.ConsumeResponse)
	go func() { consumed <- must(client.ConsumeWithResponse(ctx, namespace, channel, nil)) }()
	for must(client.LookWithResponse(ctx, namespace, channel)).HTTPResponse.StatusCode != 200 {
	}
	expect(must(client.DeleteChannelWithResponse(ctx, namespace, channel)).HTTPResponse.StatusCode, 204)
	refused((<-consumed).HTTPResponse, 410, "deleted")
}

// pages reads the audit log, of two exchanges, in two pages.
func pages(client *generated.ClientWithResponses) {
	limit, mine := 1, namespace
	page := must(client.ListExchangesWithResponse(ctx, &generated.ListExchangesParams{Namespace: &mine, Limit: &limit})).JSON200
	page = must(client.ListExchangesWithResponse(ctx, &generated.ListExchangesParams{Namespace: &mine, Cursor: page.Next})).JSON200
	expect(len(page.Exchanges), 1)
	expect(page.Exchanges[0].Outcome, "delivered")
	expect(page.Next, (*string)(nil))
}

func refused(response *http.Response, status int, code string) {
	expect([]any{response.StatusCode, response.Header.Get("Httpipe-Error")}, []any{status, code})
}

func expect[T any](got, want T) {
	if !reflect.DeepEqual(got, want) {
		log.Output(2, "") // the line
		log.Fatalf("got %v, want %v", got, want)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
