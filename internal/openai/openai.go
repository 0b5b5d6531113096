// Package openai speaks to OpenAI and to any server with the same API: chat
// completions for package llm, speech for package speech.
//
// Chat completions, not the newer Responses, because that is what other servers
// have too (Ollama, llama-server, vLLM); the protocol is described at
// https://platform.openai.com/docs/api-reference/chat.
package openai

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"
	"time"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/llm"
)

// The defaults of Config.
const (
	DefaultBaseURL     = "https://api.openai.com/v1"
	DefaultModel       = "gpt-4o-mini"
	DefaultSpeechModel = "gpt-4o-mini-tts"
	DefaultVoice       = "alloy"
)

// Config says which server and which models. It is all that counts: the SDK's own
// environment variables are not read, so that a second server never gets the
// first one's key.
type Config struct {
	BaseURL     string        // with /v1; empty: OpenAI's
	APIKey      string        // may be empty for servers that ask for none
	Model       string        // for text; empty: gpt-4o-mini
	SpeechModel string        // for speech; empty: gpt-4o-mini-tts
	Voice       string        // for speech; empty: alloy
	Wait        time.Duration // the longest pause before a request is repeated; 0: 20 s
	Silence     time.Duration // how long a stream may say nothing, before its first byte or in its middle; 0: 90 s
	Client      *http.Client  // nil: one of its own
}

// Server is a connection to a server, with its models.
type Server struct {
	config Config
	chat   sdk.ChatCompletionService
	speech sdk.AudioSpeechService
	host   string
}

// ModelOr gives the model of the server that is set, or another where none is.
func ModelOr(c Config, other llm.Streamer) (llm.Streamer, error) {
	if c.APIKey == "" && c.BaseURL == "" {
		return other, nil
	}
	server, err := New(c)
	if err != nil {
		return nil, err
	}
	return Model{Server: server}, nil
}

// New checks the configuration and makes the connection; nothing is dialled yet.
func New(c Config) (*Server, error) {
	c.BaseURL = cmp.Or(strings.TrimRight(c.BaseURL, "/"), DefaultBaseURL)
	c.Model = cmp.Or(c.Model, DefaultModel)
	c.SpeechModel = cmp.Or(c.SpeechModel, DefaultSpeechModel)
	c.Voice = cmp.Or(c.Voice, DefaultVoice)
	c.Wait = cmp.Or(c.Wait, 20*time.Second)
	c.Silence = cmp.Or(c.Silence, 90*time.Second)
	base, err := url.Parse(c.BaseURL)
	if err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" {
		return nil, fault.New(fault.Invalid, "The address of the language model is not a URL such as %s.", DefaultBaseURL)
	}
	if c.Client == nil {
		c.Client = &http.Client{Transport: transport()}
	}
	// The services, not sdk.NewClient, which reads keys and headers from the environment.
	options := []option.RequestOption{
		option.WithBaseURL(c.BaseURL),
		option.WithHTTPClient(c.Client),
		option.WithMaxRetries(0), // see try: the SDK repeats what a spent quota refuses
		option.WithMiddleware(bounded),
	}
	if c.APIKey != "" {
		options = append(options, option.WithAPIKey(c.APIKey))
	}
	return &Server{c, sdk.NewChatCompletionService(options...), sdk.NewAudioSpeechService(options...), base.Hostname()}, nil
}

// transport keeps connections for many streams. With HTTP/2, which it prefers, they
// share a few; a connection that died without a word is found by its pings.
func transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns = 0 // no limit beside the one for the host: there is one host
	t.MaxIdleConnsPerHost = 256
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second}
	return t
}

// ownTokenField tells whether the server wants max_completion_tokens, which OpenAI's
// reasoning models demand; others know max_tokens only.
func (s *Server) ownTokenField() bool {
	return s.host == "api.openai.com" || strings.HasSuffix(s.host, ".openai.azure.com")
}
