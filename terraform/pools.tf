# Connections are what a small database has least of: all instances of all functions
# together must find room in it.
locals {
  # How many instances there may be, how many requests each takes on at once, and how many
  # connections each has: those of what it is asked for, and its own beside them.
  pools = { for f, pool in {
    auth     = { instances = 2, concurrency = 80, connections = 2, own = 0 }
    chat     = { instances = 2, concurrency = 1000, connections = 2, own = 4 } # two for limits, two for the log of answers
    courses  = { instances = 2, concurrency = 250, connections = 3, own = 0 }
    finalize = { instances = 1, concurrency = 20, connections = 2, own = 0 }
    generate = { instances = 2, concurrency = 8, connections = 2, own = 0 }
    ingest   = { instances = 1, concurrency = 1, connections = 2, own = 0 }
    render   = { instances = 2, concurrency = 1, connections = 2, own = 0 }
    sweep    = { instances = 1, concurrency = 2, connections = 2, own = 0 } # one holds its lock
    web      = { instances = 2, concurrency = 1000, connections = 0, own = 0 }
    migrate  = { instances = 1, concurrency = 1, connections = 2, own = 0 } # beside all others: they serve on
  } : f => merge(pool, { instances = lookup(var.instances, f, pool.instances) }) }

  connections = sum([for pool in local.pools : pool.instances * (pool.connections + pool.own)])
}

# A service's limit of instances holds for its old and its new revision together
# (modules/function). A candidate that gets no traffic dials nothing until somebody asks it
# for more than its health, and Cloud Run goes above a limit for moments: both are the
# reserve's.
output "connections" {
  description = "Connections to the database that all instances can have open together, and the most that they may."
  value       = { needed = local.connections, room = var.database.max_connections - var.database.reserve }

  precondition {
    condition     = local.connections < var.database.max_connections - var.database.reserve
    error_message = "All instances together could open ${local.connections} connections; the database takes ${var.database.max_connections}, of which ${var.database.reserve} are reserved. Give it more (database.max_connections, and a tier with about 5 MB of memory for each), or allow fewer instances."
  }
}
