package account

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"lectern.dev/lectern/internal/fault"
	"lectern.dev/lectern/internal/mail"
	"lectern.dev/lectern/internal/postgres"
)

// PasswordHasher is what a Hasher does.
type PasswordHasher interface {
	Hash(ctx context.Context, password string) (string, error)
	Verify(ctx context.Context, password, hash string) (ok, rehash bool, err error)
	Dummy(ctx context.Context, password string) error
}

// Parts are what a Desk works with.
type Parts struct {
	DB     postgres.Beginner // a pool of the role System
	Hasher PasswordHasher
	Mail   mail.Sender
	// PublicURL is where people find Lectern: letters point there.
	PublicURL string
	// VerifyEmail makes an account wait for the link that its address is sent.
	VerifyEmail bool
	Limits      Limits // the zero value: those of DefaultLimits
}

// Desk is where people sign up, sign in and get their passwords back. A process has
// one.
type Desk struct {
	Parts
	throttle  Throttle
	strangers *rate.Limiter
}

// Limits say how often what may be tried. What succeeds costs nothing of the first
// three, so that a school behind one address can sign in.
type Limits struct {
	Account   Rate // wrong passwords for one address, from devices that are not known
	Device    Rate // wrong passwords on one device, for the address that signed in there last
	Network   Rate // wrong passwords from one client address
	SignUps   Rate // from one client address
	Letters   Rate // to one address
	Mail      Rate // letters that strangers ask for, all together: sign-ups and resets
	Resets    Rate // asked for from one client address
	Links     Rate // tried from one client address
	Invites   Rate // of one organisation
	Secrets   Rate // of API credentials that one organisation makes; each costs a hash
	Strangers Rate // passwords hashed in this process for devices that are not known
}

// DefaultLimits bound what guessing can reach: some 1,500 passwords a day for one
// account from the whole world, 45,000 from one address. Strangers leaves about half
// of a core to people whose device is known.
var DefaultLimits = Limits{
	Account:   Rate{10, time.Minute},
	Device:    Rate{10, time.Minute},
	Network:   Rate{100, 2 * time.Second},
	SignUps:   Rate{60, 30 * time.Second},
	Letters:   Rate{5, 15 * time.Minute},
	Mail:      Rate{600, time.Second},
	Resets:    Rate{20, 30 * time.Second},
	Links:     Rate{60, 5 * time.Second},
	Invites:   Rate{100, time.Minute},
	Secrets:   Rate{30, 10 * time.Second},
	Strangers: Rate{40, 80 * time.Millisecond},
}

// NewDesk checks the parts.
func NewDesk(p Parts) (*Desk, error) {
	u, err := url.Parse(p.PublicURL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, errors.New("PUBLIC_URL is not an address like https://lectern.example.com")
	}
	p.PublicURL = strings.TrimSuffix(p.PublicURL, "/")
	p.Limits = cmp.Or(p.Limits, DefaultLimits)
	strangers := p.Limits.Strangers
	return &Desk{p, Throttle{p.DB}, rate.NewLimiter(rate.Every(strangers.Every), strangers.Burst)}, nil
}

// Visitor is what a request tells about who stands at the desk, before they have
// shown who they are.
type Visitor struct {
	Network string // the client's IP address, or of IPv6 the network that a host picks its addresses from
	Browser string // its own words
	Device  string // what an earlier Session has left with it; "" for a stranger
	SignIn  Secret // of the sign-in that it has, which a new one ends; "" for none
}

// Session is what a sign-in gives.
type Session struct {
	Secret  Secret // of the sign-in
	Device  string // to be kept on the device: it gives its owner an allowance of their own
	Profile Profile
}

// network is the allowance of a client's network for something.
func (v Visitor) network(what string, r Rate) Ask {
	return Ask{ThrottleKey(what+" network", v.Network), r}
}

// letter is the allowance of letters to an address, whoever asks for them.
func (d *Desk) letter(e Email) Ask {
	return Ask{ThrottleKey("letters", e.Address), d.Limits.Letters}
}

// post is the allowance of all letters that strangers ask for, from however many
// networks, so that no mail server takes us for one that sends what nobody wants.
func (d *Desk) post() Ask { return Ask{ThrottleKey("mail", "of strangers"), d.Limits.Mail} }

// AllowSecret asks for the allowance of an organisation that makes an API credential,
// before its secret is hashed: anybody can have an organisation, and hashes without
// end would keep others from signing in.
func (d *Desk) AllowSecret(ctx context.Context, organization string) error {
	return d.throttle.Allow(ctx, Ask{ThrottleKey("secrets", organization), d.Limits.Secrets})
}

// hurry refuses when this process has hashed too many passwords for strangers.
func (d *Desk) hurry() error {
	reserved := d.strangers.Reserve()
	if wait := reserved.Delay(); wait > 0 {
		reserved.Cancel()
		return Throttled(wait)
	}
	return nil
}

// enter completes what every way of signing in ends with, in a transaction: a new
// secret always, and the end of the sign-in that the browser had.
func (v Visitor) enter(ctx context.Context, tx postgres.Querier, e Email, begin func() (Secret, error)) (s Session, err error) {
	if v.SignIn != "" {
		if err := End(ctx, tx, v.SignIn); err != nil {
			return s, err
		}
	}
	if s.Secret, err = begin(); err != nil {
		return s, err
	}
	s.Device = v.knownAs(e)
	if s.Profile, err = profileOf(ctx, tx, s.Secret); err != nil {
		return s, err
	}
	return s, nil
}

// knownAs gives what a device keeps: a name of its own, and for which address it is
// known; "" without one.
func (v Visitor) knownAs(e Email) string {
	switch {
	case e.Address == "":
		return ""
	case v.knows(e):
		return v.Device
	}
	return string(NewSecret()) + " " + ThrottleKey("device", e.Address)
}

// knows tells whether who has this address has signed in on the device before. The
// gate of cookies has made sure that we have written it.
func (v Visitor) knows(e Email) bool {
	_, whose, _ := strings.Cut(v.Device, " ")
	return e.Address != "" && whose == ThrottleKey("device", e.Address)
}

var errSignIn = fault.New(fault.Unauthenticated, "The e-mail address or the password is not right.")
