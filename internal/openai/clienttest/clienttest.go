// Package clienttest is OpenAI's Go client as a test of servers that speak OpenAI's
// API: of ours. It is here because the client is this package's dependency alone.
package clienttest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/shared"
)

// Check asks the server at base as programs with the three keys: one that may, one
// that may not, and one whose budget is spent. It calls held with the name of every
// check that holds; the first that does not is its error. The model's answers follow
// a script: the last message says which one is wanted.
func Check(ctx context.Context, base, key, reader, poor string, held func(name string)) error {
	c := client{ctx: ctx, base: base, held: held}
	c.Client = c.with(key, option.WithMaxRetries(0))
	return errors.Join(c.models(), c.answers(), c.streams(), c.breaks(), c.tools(), c.errors(key, reader, poor))
}

type client struct {
	sdk.Client
	ctx  context.Context
	base string
	held func(string)
}

func (c client) with(key string, more ...option.RequestOption) sdk.Client {
	return sdk.NewClient(append([]option.RequestOption{option.WithBaseURL(c.base), option.WithAPIKey(key)}, more...)...)
}

func (c client) check(name string, holds bool, what ...any) error {
	if !holds {
		return fmt.Errorf("%s: %+v", name, what)
	}
	c.held(name)
	return nil
}

func ask(text string) sdk.ChatCompletionNewParams {
	return sdk.ChatCompletionNewParams{Model: "lectern", Messages: []sdk.ChatCompletionMessageParamUnion{sdk.UserMessage(text)}}
}

const hello = "Hello, wörld 🦉!"

func (c client) models() error {
	page, err := c.Models.List(c.ctx)
	if err != nil {
		return err
	}
	if err := c.check("models.list", len(page.Data) == 2 && page.Data[0].ID == "lectern", page.Data); err != nil {
		return err
	}
	m, err := c.Models.Get(c.ctx, page.Data[1].ID)
	if err != nil {
		return err
	}
	return c.check("models.retrieve", m.ID == page.Data[1].ID, m)
}

func (c client) answers() error {
	r, err := c.Chat.Completions.New(c.ctx, ask("hello"))
	if err != nil {
		return err
	}
	choice := r.Choices[0]
	found := []error{
		c.check("create", choice.Message.Content == hello && choice.FinishReason == "stop", r),
		c.check("usage", r.Usage.PromptTokens == 11 && r.Usage.CompletionTokens == 7 && r.Usage.TotalTokens == 18, r.Usage),
		c.check("model", r.Model == "small" && r.ID != "" && r.Created > 0, r),
	}
	p := sdk.ChatCompletionNewParams{Model: "lectern", Seed: sdk.Int(7), MaxCompletionTokens: sdk.Int(9), N: sdk.Int(1), User: sdk.String("ann")}
	p.Stop.OfStringArray = []string{"END"}
	p.Messages = []sdk.ChatCompletionMessageParamUnion{
		sdk.SystemMessage("One."), sdk.DeveloperMessage("Two."),
		sdk.UserMessage([]sdk.ChatCompletionContentPartUnionParam{sdk.TextContentPart("echo")}),
	}
	for name, c2 := range map[string]struct {
		ask  sdk.ChatCompletionNewParams
		want func(sdk.ChatCompletionChoice) bool
	}{
		"system and developer": {p, func(o sdk.ChatCompletionChoice) bool {
			return o.Message.Content == "system:One. system:Two. user:echo stop=['END'] seed=7 most=9"
		}},
		"max_tokens": {ask("length"), func(o sdk.ChatCompletionChoice) bool { return o.FinishReason == "length" }},
		"refusal":    {ask("refuse"), func(o sdk.ChatCompletionChoice) bool { return o.Message.Refusal == "No." }},
		"parse": {formatted(), func(o sdk.ChatCompletionChoice) bool {
			var bird struct {
				Name  string
				Wings int
			}
			return json.Unmarshal([]byte(o.Message.Content), &bird) == nil && bird.Wings == 2
		}},
	} {
		r, err := c.Chat.Completions.New(c.ctx, c2.ask)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		found = append(found, c.check(name, c2.want(r.Choices[0]), r))
	}
	return errors.Join(found...)
}

func formatted() sdk.ChatCompletionNewParams {
	p := ask("bird")
	p.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{
		Name: "bird", Strict: sdk.Bool(true), Schema: map[string]any{"type": "object", "properties": map[string]any{"name": map[string]any{"type": "string"}}},
	}}
	return p
}

// read reads a stream to its end.
func (c client) read(p sdk.ChatCompletionNewParams) (all sdk.ChatCompletionAccumulator, chunks []sdk.ChatCompletionChunk, err error) {
	s := c.Chat.Completions.NewStreaming(c.ctx, p)
	defer s.Close()
	for s.Next() {
		chunks = append(chunks, s.Current())
		if !all.AddChunk(s.Current()) {
			return all, chunks, fmt.Errorf("the accumulator does not take %s", s.Current().RawJSON())
		}
	}
	return all, chunks, s.Err()
}

func (c client) streams() error {
	all, chunks, err := c.read(ask("hello"))
	if err != nil {
		return err
	}
	found := []error{
		c.check("stream", all.Choices[0].Message.Content == hello && all.Choices[0].FinishReason == "stop", all),
		c.check("stream without usage", !chunks[len(chunks)-1].JSON.Usage.Valid(), chunks),
	}
	p := ask("hello")
	p.StreamOptions.IncludeUsage = sdk.Bool(true)
	all, chunks, err = c.read(p)
	if err != nil {
		return err
	}
	final := chunks[len(chunks)-1]
	return errors.Join(append(found,
		c.check("stream with usage", len(final.Choices) == 0 && final.Usage.TotalTokens == 18 && all.Usage.TotalTokens == 18, final))...)
}

func (c client) breaks() error {
	all, chunks, err := c.read(ask("broken"))
	found := []error{
		c.check("broken stream", err != nil, err),
		c.check("broken stream is not complete", len(chunks) > 1 && all.Choices[0].FinishReason == "" && strings.HasPrefix(hello, all.Choices[0].Message.Content), all),
	}
	s := c.Chat.Completions.NewStreaming(c.ctx, ask("endless go"))
	found = append(found, c.check("endless begins", s.Next(), s.Err()), c.check("abort", s.Close() == nil))
	return errors.Join(found...)
}

func (c client) tools() error {
	p := ask("tools")
	p.Tools = []sdk.ChatCompletionToolUnionParam{sdk.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
		Name: "look", Parameters: shared.FunctionParameters{"type": "object"},
	})}
	r, err := c.Chat.Completions.New(c.ctx, p)
	if err != nil {
		return err
	}
	calls := func(m sdk.ChatCompletionMessage) (all string) {
		for _, call := range m.ToolCalls {
			all += call.ID + call.Function.Name + call.Function.Arguments + ";"
		}
		return all
	}
	const want = `call_1look{"bird":"barn owl"};call_2look{"bird":"rook"};`
	found := []error{c.check("tools", r.Choices[0].FinishReason == "tool_calls" && calls(r.Choices[0].Message) == want, r)}
	streamed, _, err := c.read(p)
	found = append(found, err, c.check("tools streamed", len(streamed.Choices) == 1 && calls(streamed.Choices[0].Message) == want, streamed))
	p.Messages = append(p.Messages, r.Choices[0].Message.ToParam(), sdk.ToolMessage("seen", "call_1"), sdk.ToolMessage("seen", "call_2"))
	r, err = c.Chat.Completions.New(c.ctx, p)
	if err != nil {
		return err
	}
	return errors.Join(append(found, c.check("tools answered", r.Choices[0].Message.Content == "seen call_1 and call_2", r))...)
}

func (c client) errors(key, reader, poor string) error {
	image := sdk.ChatCompletionNewParams{Model: "lectern", Messages: []sdk.ChatCompletionMessageParamUnion{
		sdk.UserMessage([]sdk.ChatCompletionContentPartUnionParam{sdk.ImageContentPart(sdk.ChatCompletionContentPartImageImageURLParam{URL: "data:x"})}),
	}}
	two, other := ask("hello"), ask("hello")
	two.N, other.Model = sdk.Int(2), "gpt-0"
	once := option.WithMaxRetries(0)
	var found []error
	for _, e := range []struct {
		name        string
		key         string
		ask         sdk.ChatCompletionNewParams
		retries     option.RequestOption
		status      int
		code, param string
	}{
		{"wrong key", "cred_1.wrong", ask("hello"), once, 401, "invalid_api_key", ""},
		{"wrong scope", reader, ask("hello"), once, 403, "permission_denied", ""},
		{"no such model", key, other, once, 404, "model_not_found", "model"},
		{"image", key, image, once, 400, "", "messages[0].content[0].type"},
		{"n", key, two, once, 400, "", "n"},
		{"too large", key, ask(strings.Repeat("x", 1<<20)), once, 413, "request_too_large", ""},
		{"no budget", poor, ask("hello"), option.WithMaxRetries(5), 402, "insufficient_quota", ""},
		{"limit", key, ask("busy"), once, 429, "rate_limit_exceeded", ""},
		{"our fault", key, ask("explode"), once, 500, "", ""},
		{"model down", key, ask("down"), once, 503, "service_unavailable", ""},
	} {
		who := c.with(e.key, e.retries)
		began := time.Now()
		_, err := who.Chat.Completions.New(c.ctx, e.ask)
		got, ok := errors.AsType[*sdk.Error](err)
		found = append(found, c.check(e.name, ok && got.StatusCode == e.status && got.Code == e.code && got.Param == e.param && got.Message != "", err))
		if e.name == "no budget" {
			found = append(found, c.check("no budget is not retried", time.Since(began) < 5*time.Second))
		}
	}
	patient := c.with(key, option.WithMaxRetries(2))
	r, err := patient.Chat.Completions.New(c.ctx, ask("busy at first go"))
	found = append(found, err, c.check("limit retried", err == nil && r.Choices[0].Message.Content == "Now.", r))
	_, err = c.Chat.Completions.New(c.ctx, ask("endless"), option.WithRequestTimeout(300*time.Millisecond))
	return errors.Join(append(found, c.check("timeout", errors.Is(err, context.DeadlineExceeded), err))...)
}
