package web

import (
	"cmp"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"lectern.dev/lectern/internal/fault"
)

// money is an amount in millionths of a US dollar.
type money int64

// String writes it for people: in cents, and in smaller parts only where there is
// nothing but them.
func (m money) String() string {
	sign := ""
	if m < 0 {
		sign, m = "-", -m
	}
	if m > 0 && m < 10_000 {
		return sign + "$" + strconv.FormatFloat(float64(m)/1e6, 'f', -1, 64)
	}
	cents := int64(m+5000) / 10_000
	return sign + "$" + grouped(cents/100) + "." + strconv.FormatInt(cents%100+100, 10)[1:]
}

// limits are what an organisation may spend in a month, and what it has spent.
type limits struct {
	Soft     money `json:"soft_micros"` // from here on it is warned
	Hard     money `json:"hard_micros"` // here work stops
	Spent    money `json:"spent_micros"`
	Reserved money `json:"reserved_micros"` // for what is going on now
}

// Left is what can still be spent.
func (l limits) Left() money { return max(0, l.Hard-l.Spent-l.Reserved) }

// Warns tells whether the soft limit is passed.
func (l limits) Warns() bool { return l.Spent >= l.Soft }

// budget is an organisation's month.
type budget struct {
	Month string    `json:"month"` // 2026-11
	Ends  time.Time `json:"ends"`
	limits
	Warning string `json:"warning"` // there when the soft limit is passed
	Use     []use  `json:"use"`
}

// use is what was spent on one kind of work.
type use struct {
	Kind   string `json:"kind"`
	Input  int64  `json:"input_units"`
	Output int64  `json:"output_units"`
	Cost   money  `json:"micros"`
}

// useWords say what the kinds of work are.
var useWords = map[string]string{
	"tokens": "Writing and tutoring", "embedding": "Search by meaning", "speech": "Narration", "render": "Making videos",
}

// Name is the kind in words.
func (u use) Name() string { return cmp.Or(useWords[u.Kind], u.Kind) }

// Amount is how much was used.
func (u use) Amount() string {
	switch u.Kind {
	case "tokens":
		return grouped(u.Input) + " tokens in, " + grouped(u.Output) + " out"
	case "embedding":
		return grouped(u.Input) + " tokens"
	case "speech":
		return grouped(u.Input) + " characters"
	case "render":
		return grouped(u.Input) + " seconds of a processor"
	}
	return grouped(u.Input + u.Output)
}

// Kinds lists what there was any of.
func (b budget) Kinds() []use {
	return slices.DeleteFunc(slices.Clone(b.Use), func(u use) bool { return u.Input+u.Output == 0 && u.Cost == 0 })
}

// Share gives what part of all that was spent a kind took, of meterWidth.
func (b budget) Share(u use) int64 {
	if b.Spent <= 0 {
		return 0
	}
	return int64(min(meterWidth, meterWidth*u.Cost/b.Spent))
}

// meterWidth is the width of the picture of a budget, in units of its own.
const meterWidth = 1000

// meter is a budget as a picture: how wide its parts are, and where they begin.
type meter struct{ Spent, Reserved, ReservedAt, Soft int64 }

// Meter gives the widths. What goes beyond the hard limit fills it.
func (l limits) Meter() meter {
	share := func(m money) int64 {
		if l.Hard <= 0 {
			return meterWidth
		}
		return int64(min(1, float64(max(0, m))/float64(l.Hard)) * meterWidth)
	}
	m := meter{Spent: share(l.Spent), Soft: share(l.Soft)}
	m.ReservedAt = m.Spent
	m.Reserved = share(l.Spent+l.Reserved) - m.Spent
	return m
}

// MonthName is the month in words.
func (b budget) MonthName() string {
	if t, err := time.Parse("2006-01", b.Month); err == nil {
		return t.Format("January 2006")
	}
	return b.Month
}

// budgetPage is the month's budget.
type budgetPage struct {
	budget
	Me     *person
	Months []month // whose ledgers can be fetched, the newest first
}

type month struct{ Value, Name string }

func (s *site) showBudget(r *http.Request) (string, any, error) {
	b, err := get[budget](r.Context(), s.accounts(r), "/v1/budget")
	view := budgetPage{budget: b, Me: visitor(r.Context())}
	if this, wrong := time.Parse("2006-01", b.Month); wrong == nil {
		for back := range 3 {
			m := this.AddDate(0, -back, 0)
			view.Months = append(view.Months, month{m.Format("2006-01"), m.Format("January 2006")})
		}
	}
	return "budget", view, err
}

// organizationsPage are all organisations and what each may spend, for the operator.
type organizationsPage struct {
	Notice        string
	Organizations []organizationRow
	Next          string
}

// tenant is an organisation as the operator sees it.
type tenant struct {
	organization
	limits
}

// organizationRow is an organisation with the form of its limits.
type organizationRow struct {
	tenant
	Form form
}

func (s *site) organizationsPage(r *http.Request) (organizationsPage, error) {
	query := url.Values{"limit": {"50"}}
	if cursor := r.URL.Query().Get("cursor"); cursor != "" {
		query.Set("cursor", cursor)
	}
	all, err := get[list[tenant]](r.Context(), s.accounts(r), "/v1/organizations?"+query.Encode())
	view := organizationsPage{Next: all.NextCursor}
	for _, t := range all.Items {
		view.Organizations = append(view.Organizations, organizationRow{
			tenant: t,
			Form: newForm("limits-"+t.ID, "/organizations/"+url.PathEscape(t.ID)+"/budget", "Set",
				input{Name: "soft", APIName: "soft_micros", Label: "Warn at, $", Required: true, Value: plain(t.Soft), Autocomplete: "off"},
				input{Name: "hard", APIName: "hard_micros", Label: "Stop at, $", Required: true, Value: plain(t.Hard), Autocomplete: "off"}),
		})
	}
	if r.URL.Query().Get("done") == "budget" {
		view.Notice = "The limits are set. Work that waits for money goes on by itself."
	}
	return view, err
}

func (s *site) showOrganizations(r *http.Request) (string, any, error) {
	view, err := s.organizationsPage(r)
	return "organizations", view, err
}

func (s *site) setBudget(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("organization")
	body := map[string]int64{}
	var err error
	for _, name := range []string{"soft", "hard"} {
		micros, ok := micros(r.PostFormValue(name))
		if !ok {
			err = wrongField(name, "This is no amount such as 12.50.")
		}
		body[name+"_micros"] = micros
	}
	if err == nil {
		_, err = s.accounts(r).write(r.Context(), http.MethodPut, "/v1/organizations/"+url.PathEscape(id)+"/budget", "", body)
	}
	if err == nil {
		http.Redirect(w, r, "/organizations?done=budget", http.StatusSeeOther)
		return nil
	}
	view, unread := s.organizationsPage(r)
	if unread != nil {
		return unread
	}
	for i := range view.Organizations {
		if o := &view.Organizations[i]; o.ID == id {
			status, unfit := o.Form.refuse(w, r, err)
			if unfit != nil {
				return unfit
			}
			return s.render(w, r, status, "organizations", view)
		}
	}
	return err
}

// wrongField is what we find wrong ourselves, in the API's form.
func wrongField(name, message string) error {
	return &fault.Error{Kind: fault.Invalid, Message: message, Fields: []fault.Field{{Location: "body." + name, Message: message}}}
}

// plain writes an amount as it is entered, whole.
func plain(m money) string {
	whole := strconv.FormatInt(int64(m)/1e6, 10) + "." + strconv.FormatInt(int64(m)%1e6+1e6, 10)[1:]
	cut := strings.TrimRight(whole, "0")
	if dot := strings.IndexByte(cut, '.'); len(cut)-dot < 3 { // two places at least
		return whole[:dot+3]
	}
	return cut
}

var amount = regexp.MustCompile(`^\$?\s*([0-9]{1,9})(?:\.([0-9]{1,6}))?$`)

// micros reads an amount of dollars exactly; a comma parts thousands.
func micros(entered string) (int64, bool) {
	parts := amount.FindStringSubmatch(strings.ReplaceAll(strings.TrimSpace(entered), ",", ""))
	if parts == nil {
		return 0, false
	}
	n, err := strconv.ParseInt(parts[1]+(parts[2] + "000000")[:6], 10, 64)
	return n, err == nil
}

// grouped writes a number with its thousands apart.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	var b strings.Builder
	for i, c := range digits {
		if i > 0 && digits[i-1] != '-' && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return b.String()
}
