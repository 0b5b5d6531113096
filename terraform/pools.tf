# Connections are what a small database has least of: all instances of all functions
# together must find room in it.
locals {
  pools = { for f, pool in {
    #            instances × connections of each, of which the second are the function's own
    auth     = { instances = 2, connections = 2, own = 0 }
    chat     = { instances = 2, connections = 2, own = 4 } # two for limits, two for the log of answers
    courses  = { instances = 2, connections = 4, own = 0 }
    finalize = { instances = 1, connections = 2, own = 0 }
    generate = { instances = 2, connections = 2, own = 0 }
    ingest   = { instances = 1, connections = 2, own = 0 }
    render   = { instances = 3, connections = 2, own = 0 }
    sweep    = { instances = 1, connections = 2, own = 0 }
    web      = { instances = 2, connections = 0, own = 0 }
  } : f => merge(pool, { instances = lookup(var.instances, f, pool.instances) }) }

  connections = sum([for pool in local.pools : pool.instances * (pool.connections + pool.own)])
}
