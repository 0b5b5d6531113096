variable "cost_assumptions" {
  description = "What people are taken to do, for the output cost: put in your own. Who writes and who speaks is var.model. What a course uses is measured (bench/course.json), what it costs is in prices.json."
  type = object({
    # The columns of the table: courses that are live, and the database that they take.
    scales = optional(list(object({
      courses           = number
      tier              = optional(string, "db-f1-micro")
      high_availability = optional(bool, false)
      load_balancer     = optional(bool, false)
      })), [
      { courses = 0 },
      { courses = 100, tier = "db-g1-small" },
      { courses = 10000, tier = "db-custom-2-7680", high_availability = true },
    ])

    written  = optional(number, 0.1) # share of the courses that is written and filmed in a month
    learners = optional(number, 10)  # people who learn from a course in a month
    watched  = optional(number, 0.5) # share of its film that each watches
    turns    = optional(number, 5)   # questions that each asks the tutor

    again         = optional(number, 1.2) # of each answer that the agents need, how many they ask for
    answer_tokens = optional(number, 300) # of the tutor; the built-in model's are shorter
    token_rate    = optional(number, 60)  # tokens a second that a model writes

    slower              = optional(number, 1.5) # what a processor second measured becomes on Cloud Run
    author_minutes      = optional(number, 10)  # that an author follows the making of a course, which keeps two functions awake
    hours_a_day         = optional(number, 12)  # over which learners are spread
    requests_a_lesson   = optional(number, 30)  # of functions, for a lesson that is watched
    page_bytes          = optional(number, 150000)
    metric_series       = optional(number, 30)
    spans_a_request     = optional(number, 4)
    secrets             = optional(number, 5) # versions that are active
    image_gb            = optional(number, 1.5)
    releases            = optional(number, 20) # pushes in a month
    minutes_a_release   = optional(number, 12)
    turn_database_bytes = optional(number, 2600) # bench/baseline.txt
  })
  default = {}

  validation {
    condition     = alltrue([for scale in var.cost_assumptions.scales : scale.courses >= 0 && can(regex("^db-(f1-micro|g1-small|custom-[0-9]+-[0-9]+)$", scale.tier))])
    error_message = "A scale has a number of courses and a tier: db-f1-micro, db-g1-small or db-custom-CPUS-MEGABYTES."
  }
  validation {
    condition     = length(distinct(var.cost_assumptions.scales[*].courses)) == length(var.cost_assumptions.scales)
    error_message = "Each scale has another number of courses."
  }
  validation {
    condition     = alltrue([for share in [var.cost_assumptions.written, var.cost_assumptions.watched] : share >= 0 && share <= 1])
    error_message = "written and watched are shares between 0 and 1."
  }
  validation {
    condition = alltrue([for number in [
      var.cost_assumptions.learners, var.cost_assumptions.turns, var.cost_assumptions.again, var.cost_assumptions.answer_tokens,
      var.cost_assumptions.author_minutes, var.cost_assumptions.requests_a_lesson, var.cost_assumptions.page_bytes,
      var.cost_assumptions.metric_series, var.cost_assumptions.spans_a_request, var.cost_assumptions.secrets,
      var.cost_assumptions.image_gb, var.cost_assumptions.releases, var.cost_assumptions.minutes_a_release,
      var.cost_assumptions.turn_database_bytes,
    ] : number >= 0]) && var.cost_assumptions.token_rate > 0 && var.cost_assumptions.slower > 0 && var.cost_assumptions.hours_a_day > 0 && var.cost_assumptions.hours_a_day <= 24
    error_message = "What people do is not less than nothing; token_rate and slower are more, and a day has up to 24 hours."
  }
}
