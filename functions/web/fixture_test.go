package web

import (
	"fmt"
	"time"

	"lectern.dev/lectern/internal/course"
	"lectern.dev/lectern/internal/job"
)

// The course that the tests look at: two modules, five lessons, one of them with a
// film of a minute, one whose video is being made, one whose video failed, one
// without a video, one that is not written yet.

var now = time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)

const (
	courseID = "crs_home"
	lessonID = "les_router"
)

func homeNetworks() course.Course {
	return course.Course{
		ID: courseID, Title: "Home networks that just work", Language: "en", Version: 7, CreatedAt: now, UpdatedAt: now,
		Summary:  "What the box in the hallway does all day, why the far bedroom has no signal, and what to change first: a practical course for people who look after a network at home.",
		Audience: "people without a background in networking",
		Modules: []course.Module{
			{ID: "mod_1", CourseID: courseID, Title: "How a home network fits together", Summary: "The parts, and the names they go by.", Lessons: []course.LessonSummary{
				{ID: lessonID, Title: "What a router really does", Written: true, VideoState: course.VideoReady},
				{ID: "les_names", Title: "Addresses, names and who hands them out", Position: 1, Written: true, VideoState: course.VideoRendering},
				{ID: "les_wifi", Title: "Wi-Fi without dead corners", Position: 2, Written: true, VideoState: course.VideoNone},
			}},
			{ID: "mod_2", CourseID: courseID, Title: "Keeping it safe and running", Position: 1, Lessons: []course.LessonSummary{
				{ID: "les_safe", Title: "Passwords, updates and guests", Written: true, VideoState: course.VideoFailed},
				{ID: "les_fix", Title: "When something does not work", Position: 1, VideoState: course.VideoNone},
			}},
		},
	}
}

func handbook(page int, heading, quote string) []course.Evidence {
	return []course.Evidence{{Passage: fmt.Sprintf("psg_%d", page), Source: "src_handbook", Page: page, Heading: heading, Start: page * 1800, End: page*1800 + len(quote), Quote: quote}}
}

var sources = []map[string]any{
	{"id": "src_handbook", "name": "home-networks-handbook.pdf", "title": "The home network handbook", "size": 2_412_331, "state": "ready", "pages": 86},
	{"id": "src_manual", "name": "router-manual.html", "size": 88_120, "state": "reading"},
	{"id": "src_scan", "name": "contract-scan.pdf", "size": 912_000, "state": "failed", "reason": "This PDF holds pictures of pages and no text. Run it through text recognition first, then upload it again."},
}

const article = `A router is three devices in one box. It **connects two networks**, yours and your provider's; it is a
*switch* for the cables; and it is a radio for everything else.[^p1] Knowing which of the three you are talking to
settles most arguments with it.

## Two networks, one door

Every packet that leaves your home passes the router, which writes its own address on it and remembers who had
sent it.[^p2] This is called *address translation*, and it is the reason why nobody outside can reach your printer
unless you open a way in on purpose.

| Part | What it does | Light on the box |
|---|---|---|
| Modem | speaks your provider's language | Internet |
| Switch | joins the cables | LAN 1–4 |
| Access point | joins the radios | WLAN |

### See it for yourself

` + "```sh\nip route show default\n# default via 192.168.1.1 dev wlan0 proto dhcp src 192.168.1.23 metric 600\n```" + `

The address after *via* is your router. Open it in a browser, and change the password on the sticker.[^p3]

1. Write the new password down.
2. Update the firmware while you are there.
`

func routerLesson(media string) course.Lesson {
	l := course.Lesson{
		ID: lessonID, CourseID: courseID, ModuleID: "mod_1", Title: "What a router really does", Article: article, Version: 3, VideoState: course.VideoReady, CreatedAt: now, UpdatedAt: now,
		Objectives: []string{"Name the three devices inside a router", "Say why devices at home cannot be reached from outside", "Find your router's address and change its password"},
		Citations: []course.Evidence{
			handbook(12, "One box, three jobs", "The device sold as a router combines a modem or an uplink port, a switch and an access point.")[0],
			handbook(14, "Address translation", "The router replaces the sender's address by its own and keeps a table, so that answers find their way back.")[0],
			handbook(31, "First steps", "Change the administrator's password before anything else; the one on the sticker can be read by every visitor.")[0],
		},
		Video: &course.Video{
			Content: "3f9a", Current: true, Duration: 60, Bytes: 1 << 20, CreatedAt: now,
			URL: media + "/video.mp4", CaptionsURL: media + "/captions.vtt", PosterURL: media + "/poster.jpg",
		},
	}
	for i, s := range routerSlides() {
		l.Video.Chapters = append(l.Video.Chapters, course.Chapter{Start: float64(12 * i), Title: s.Title, Slide: s.ID})
		for k, n := range s.Narration {
			start := float64(12*i + 4*k)
			l.Video.Transcript = append(l.Video.Transcript, course.Transcript{Start: start, End: start + 4, Text: n.Text, Slide: s.ID, Sentence: k})
		}
	}
	return l
}

func say(texts ...string) []course.Sentence {
	var all []course.Sentence
	for i, t := range texts {
		all = append(all, course.Sentence{Text: t, Reveals: i + 1})
	}
	return all
}

func routerSlides() []course.Slide {
	three := handbook(12, "One box, three jobs", "The device sold as a router combines a modem or an uplink port, a switch and an access point.")
	nat := handbook(14, "Address translation", "The router replaces the sender's address by its own and keeps a table, so that answers find their way back.")
	first := handbook(31, "First steps", "Change the administrator's password before anything else; the one on the sticker can be read by every visitor.")
	return []course.Slide{
		{ID: "sld_1", Kind: course.PointsSlide, Title: "One box, three jobs", Points: []course.Point{
			{Text: "It connects your network to your provider's", Evidence: three},
			{Text: "It joins cables: the switch", Evidence: three},
			{Text: "It joins radios: the access point", Evidence: three},
		}, Narration: say("The box in your hallway is really three devices.", "One of them talks to your provider, and one joins your cables.", "The third is a radio, and it is the one you notice most.")},
		{
			ID: "sld_2", Kind: course.TableSlide, Title: "Which light is which", Table: &course.Table{Header: []string{"Part", "Light"}, Rows: [][]string{{"Modem", "Internet"}, {"Switch", "LAN 1–4"}, {"Access point", "WLAN"}}, Evidence: three},
			Narration: say("Each part has a light of its own.", "When pages do not load, look at the one called Internet first.", "If it is off, the trouble is outside your home."),
		},
		{
			ID: "sld_3", Kind: course.QuoteSlide, Title: "Why nobody can ring from outside", Quote: &course.Quote{Text: "The router replaces the sender's address by its own and keeps a table, so that answers find their way back.", Attribution: "The home network handbook", Evidence: nat},
			Narration: say("Every packet leaves with the router's address on it.", "The router remembers who had sent it.", "What nobody asked for finds no entry in that table, and stays outside."),
		},
		{
			ID: "sld_4", Kind: course.CodeSlide, Title: "Find your router", Code: &course.Code{Language: "sh", Text: "ip route show default\n# default via 192.168.1.1 dev wlan0", Evidence: first}, Points: []course.Point{{Text: "The address after “via” is your router", Evidence: first}},
			Narration: say("You can ask your own computer where the router is.", "The address after the word via is the one.", "Type it into a browser, and the router answers."),
		},
		{ID: "sld_5", Kind: course.PointsSlide, Title: "First steps", Points: []course.Point{
			{Text: "Change the password on the sticker", Evidence: first},
			{Text: "Update the firmware while you are there", Evidence: nil},
		}, Narration: say("Change the password before anything else.", "Every visitor can read the one on the sticker.", "Then update the firmware, and you are done for today.")},
	}
}

func routerQuestions() []course.Question {
	return []course.Question{
		{
			ID: "qst_1", Prompt: "Web pages do not load, and the light called Internet is off. Where is the trouble most likely?", Choices: []string{"In the Wi-Fi of your laptop", "Between the router and your provider", "In the switch", "In the web browser"}, Key: 1,
			Explanation: "That light shows the connection to the provider's network; the parts inside your home have lights of their own.", Evidence: handbook(12, "One box, three jobs", "The light marked Internet shows the connection to the provider."),
		},
		{
			ID: "qst_2", Prompt: "Why can nobody outside reach your printer by itself?", Choices: []string{"Printers refuse strangers", "The router has no entry for an answer nobody asked for", "The provider blocks printers"}, Key: 1,
			Explanation: "Address translation only lets in what answers something that left before.", Evidence: handbook(14, "Address translation", "Answers find their way back by the table."),
		},
	}
}

func homeJobs() []job.Job {
	left := 140.0
	return []job.Job{
		{ID: "job_render", Kind: job.Render, Subject: courseID, CourseID: courseID, State: job.Running, Version: 4, Done: 42, Total: 100, Message: "Encoding “Addresses, names and who hands them out”, slide 5 of 9", SecondsLeft: &left, CreatedAt: now},
		{ID: "job_ingest", Kind: job.Ingest, Subject: "src_manual", CourseID: courseID, State: job.Queued, Version: 1, Total: 10, Message: "Waiting for its turn", CreatedAt: now},
		{ID: "job_safe", Kind: job.Render, Subject: "les_safe", CourseID: courseID, State: job.Failed, Version: 9, Done: 3, Total: 10, Error: "The disk was full. Free some space and try again; the slides that were done are kept.", CreatedAt: now},
		{ID: "job_write", Kind: job.Generate, Subject: courseID, CourseID: courseID, State: job.Succeeded, Version: 30, Done: 12, Total: 12, Message: "Done", CreatedAt: now},
	}
}

// others are more courses for the list.
func others() []course.Course {
	return []course.Course{
		{
			ID: "crs_ledger", Title: "Reading a balance sheet", Summary: "What a company owns, what it owes, and the three lines that tell whether it will still be there next year.", Audience: "new shareholders", Language: "en", CreatedAt: now, UpdatedAt: now,
			Modules: []course.Module{{ID: "mod_b", Lessons: []course.LessonSummary{{ID: "les_b1", Written: true, VideoState: course.VideoReady}, {ID: "les_b2", Written: true, VideoState: course.VideoReady}}}},
		},
		{ID: "crs_tides", Title: "Why the tide comes twice", Language: "en", CreatedAt: now, UpdatedAt: now},
		{
			ID: "crs_nahw", Title: "مقدمة في الشبكات المنزلية", Summary: "كيف يعمل جهاز التوجيه، ولماذا تضعف الإشارة في الغرفة البعيدة.", Language: "ar", CreatedAt: now, UpdatedAt: now,
			Modules: []course.Module{{ID: "mod_a", Lessons: []course.LessonSummary{{ID: "les_a1", Written: true, VideoState: course.VideoNone}}}},
		},
	}
}
