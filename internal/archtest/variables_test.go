package archtest

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"lectern.dev/lectern/internal/budget"
)

// wrongs are values that Terraform refuses before it changes anything, and what it says.
// terraform/tests shows that it does so; here is each rule.
var wrongs = []struct {
	given map[string]any
	want  string
}{
	{map[string]any{"project": "Lectern"}, "A project id has 6 to 30"},
	{map[string]any{"region": "Europe"}, "looks like europe-west1"},
	{map[string]any{"name": "le"}, "A name has 3 to 16"},
	{map[string]any{"name": "seventeen-letters"}, "A name has 3 to 16"},
	{map[string]any{"images": fields{"chart": "i/chart"}}, "Images are of auth"},
	{map[string]any{"state_bucket": "A bucket"}, "A bucket's name has"},
	{map[string]any{"public_url": "http://learn.example.org"}, "https://host, without a path"},
	{map[string]any{"public_url": "https://learn.example.org/"}, "https://host, without a path"},
	{map[string]any{"trusted_origins": []string{"https://app.example.org/path"}}, "without a path"},
	{map[string]any{"instances": fields{"web": 0}}, "1 to 100 instances"},
	{map[string]any{"instances": fields{"migrate": 2}}, "1 to 100 instances"},
	{map[string]any{"warm": fields{"render": 1}}, "may be kept warm"},
	{map[string]any{"database": fields{"instance": "Lectern 2"}}, "An instance has lower-case letters"},
	{map[string]any{"database": fields{"version": "POSTGRES_14"}}, "Lectern is tested with"},
	{map[string]any{"database": fields{"tier": "db-n1-standard-1"}}, "A tier is db-f1-micro"},
	{map[string]any{"database": fields{"max_connections": 20}}, "Between 25 and 1000"},
	{map[string]any{"database": fields{"reserve": 3}}, "At least 6"},
	{map[string]any{"database": fields{"disk_limit_gb": 5}}, "A disk begins with 10 GB"},
	{map[string]any{"database": fields{"backup_days": 0}}, "1 to 365 days"},
	{map[string]any{"database": fields{"maintenance_day": 0}}, "A day is 1"},
	{map[string]any{"database": fields{"maintenance_hour": 24}}, "A day is 1"},
	{map[string]any{"deleted_days": 3}, "0 days, or 7 to 90"},
	{map[string]any{"root_email": "root"}, "An address is name@host"},
	{map[string]any{"root_email": "root@example.org", "dreambridge": fields{"email": "owner"}}, "An address is name@host"},
	{map[string]any{"dreambridge": fields{"email": "owner@example.org"}}, "made together with root's"},
	{map[string]any{"dreambridge": fields{"has_secret": true}}, "made together with root's"},
	{map[string]any{"load_balancer": true}, "set public_url"},
	{map[string]any{"repository": fields{"connection": "git hub", "name": "lectern"}}, "A connection and a repository"},

	{map[string]any{"log_level": "WARN"}, "DEBUG or INFO"},
	{map[string]any{"traces_ratio": 1.5}, "between 0 and 1"},
	{map[string]any{"sweep_minutes": 7}, "an hour can be divided by"},

	{map[string]any{"model": fields{"base_url": "models.example.org/v1"}}, "named like https://api.openai.com/v1"},
	{map[string]any{"model": fields{"name": "gpt-9", "has_key": true}}, "what this language model costs"},
	{map[string]any{"model": fields{"name": "gpt-9-2026-01-01", "has_key": true}}, "what this language model costs"},
	{map[string]any{"model": fields{"name": "tts-1", "has_key": true}}, "what this language model costs"},
	{map[string]any{"model": fields{"speech": "gpt-4o", "has_key": true}}, "what this voice costs"},
	{map[string]any{"model": fields{"speech": "gpt-4o-mini-tts"}}, "A voice needs a server"},
	{map[string]any{"model": fields{"first_token_deadline": "soon"}}, "such as 5s or 1500ms"},

	{map[string]any{"backup": fields{"base_url": "models.example.org", "name": "gpt-4o"}}, "named like https://api.example.com/v1"},
	{map[string]any{"backup": fields{"base_url": "https://models.example.org/v1"}}, "a server and a model"},
	{map[string]any{"backup": fields{"base_url": "https://models.example.org/v1", "name": "small"}}, "what the backup's model costs"},
	{map[string]any{"backup": fields{"has_key": true}}, "key is for a server"},

	{map[string]any{"mail": fields{"host": "https://smtp.example.org", "from": "a@example.org"}}, "its port is a field of its own"},
	{map[string]any{"mail": fields{"host": "smtp.example.org", "from": "a@example.org", "port": 25}}, "lets nothing out by port 25"},
	{map[string]any{"mail": fields{"from": "a@example.org"}}, "set host and from"},
	{map[string]any{"mail": fields{"host": "smtp.example.org"}}, "set host and from"},
	{map[string]any{"mail": fields{"host": "smtp.example.org", "from": "a@example.org", "user": "a"}}, "set user and has_password, or neither"},
	{map[string]any{"mail": fields{"host": "smtp.example.org", "from": "a@example.org", "has_password": true}}, "set user and has_password, or neither"},
	{map[string]any{"verify_email": true}, "set mail.host, or verify_email = false"},

	{map[string]any{"budget": fields{"soft_micros": 6000000}}, "the hard limit is not below the soft one"},
	{map[string]any{"budget": fields{"hard_micros": 5000000.5}}, "Whole millionths"},
	{map[string]any{"budget": fields{"calls_per_job": 0}}, "at least once"},
	{map[string]any{"budget": fields{"prices": fields{"small": fields{"kind": "tokens", "input": 1, "source": "", "read": "2026-11-22"}}}}, "what input and output cost"},
	{map[string]any{"budget": fields{"prices": fields{"small": fields{"kind": "words", "input": 1, "output": 1, "source": "", "read": "2026-11-22"}}}}, "has a kind"},
	{map[string]any{"budget": fields{"prices": fields{"small": fields{"kind": "speech", "input": 1, "source": "", "read": "yesterday"}}}}, "the day on which it was read"},

	{map[string]any{"chat_limits": fields{"answers_per_user": -1}}, "whole number; 0 is none"},
	{map[string]any{"job_limits": fields{"renders_per_user": 1.5}}, "whole number; 0 is none"},
}

type fields map[string]any

// fine are values that look odd, and are right.
var fine = []map[string]any{
	{},
	{"name": "sixteen-letters1", "database": fields{"disk_limit_gb": 0, "version": "POSTGRES_15"}, "deleted_days": 0},
	{"root_email": "root@example.org", "dreambridge": fields{"email": "owner@example.org", "has_secret": true}},
	{"repository": fields{"connection": "github", "name": "example-lectern", "branch": "releases/1.0"}},
	{"model": fields{"name": "gpt-4o-2024-08-06", "has_key": true}},
	{"model": fields{"name": "small", "base_url": "http://10.8.0.9:8000/v1"}, "budget": fields{"prices": fields{"small": fields{"kind": "tokens", "input": 0, "output": 0, "source": "runs here", "read": "2026-11-22"}}}},
	{"mail": fields{"host": "smtp.example.org", "from": "Lectern <lectern@example.org>"}, "verify_email": true},
	{"mail": fields{"host": "smtp.example.org", "from": "lectern@example.org"}, "verify_email": false},
	{"budget": fields{"soft_micros": 0, "hard_micros": 0}},
	{"budget": fields{"prices": fields{"voice": fields{"kind": "speech", "input": 1, "source": "", "read": "2026-11-22"}}}, "model": fields{"speech": "voice", "base_url": "https://models.example.org/v1"}},
}

func TestTerraformRefusesWrongVariables(t *testing.T) {
	t.Parallel()
	c := readTerraform(t, root+"/terraform")
	untried := map[string]bool{}
	for name, block := range c.variables {
		if tried(block) {
			for i := range validations(block) {
				untried[fmt.Sprintf("%s, rule %d", name, i+1)] = true
			}
		}
	}
	for _, wrong := range wrongs {
		broken := c.broken(wrong.given)
		for _, rule := range broken {
			delete(untried, rule.name)
		}
		if !slices.ContainsFunc(broken, func(r brokenRule) bool { return strings.Contains(r.says, wrong.want) }) {
			t.Errorf("%v: got %v, want %q", wrong.given, broken, wrong.want)
		}
	}
	for name := range untried {
		t.Errorf("nobody has tried to break %s", name)
	}
	for _, given := range fine {
		if broken := c.broken(given); len(broken) > 0 {
			t.Errorf("%v: %v", given, broken)
		}
	}
}

// What Terraform makes of prices is what functions read.
func TestTerraformsPricesAreUnderstood(t *testing.T) {
	t.Parallel()
	c := readTerraform(t, root+"/terraform")
	e := evaluation{c, map[string]cty.Value{"budget": object(fields{"prices": fields{
		"small": fields{"kind": "tokens", "input": 0.1, "output": 0.2, "source": "https://models.example.org", "read": "2026-11-22"},
		"voice": fields{"kind": "speech", "input": 15, "source": "https://models.example.org", "read": "2026-11-22"},
	}})}, map[string]cty.Value{}}
	setting := e.value(c.locals["settings"]).GetAttr("budget").GetAttr("PRICES").AsString()
	prices, err := budget.LoadPrices(setting)
	if err != nil {
		t.Fatalf("%v: %s", err, setting)
	}
	if got := prices["small"]; got.Input != 0.1 || got.Output != 0.2 || got.Kind != budget.Tokens {
		t.Errorf("got %+v", got)
	}
	if got := prices["voice"]; got.Input != 15 || got.Kind != budget.Speech {
		t.Errorf("got %+v", got)
	}
}

type brokenRule struct{ name, says string }

// tried tells whether a variable's rules are tried here: those of monitoring and of costs
// have few, and tests of their own in terraform/tests.
func tried(variable *hclsyntax.Block) bool {
	file := filepath.Base(variable.Range().Filename)
	return file == "variables.tf" || file == "variables_functions.tf"
}

// broken gives the rules of variables that some values break.
func (c *configuration) broken(given map[string]any) []brokenRule {
	e := evaluation{c, map[string]cty.Value{"project": cty.StringVal("lectern-prod")}, map[string]cty.Value{}}
	for name, v := range given {
		e.given[name] = object(map[string]any{"v": v}).GetAttr("v")
	}
	var broken []brokenRule
	for _, name := range slices.Sorted(maps.Keys(c.variables)) {
		block := c.variables[name]
		if !tried(block) {
			continue
		}
		for i, rule := range validations(block) {
			holds := e.value(rule.Attributes["condition"].Expr)
			if !holds.IsKnown() {
				c.t.Fatalf("%s cannot be told", rule.Attributes["condition"].Range())
			}
			if holds.False() {
				broken = append(broken, brokenRule{fmt.Sprintf("%s, rule %d", name, i+1), e.value(rule.Attributes["error_message"].Expr).AsString()})
			}
		}
	}
	return broken
}

// validations are the rules of a variable.
func validations(variable *hclsyntax.Block) []*hclsyntax.Body {
	var all []*hclsyntax.Body
	for _, block := range variable.Body.Blocks {
		if block.Type == "validation" {
			all = append(all, block.Body)
		}
	}
	return all
}
