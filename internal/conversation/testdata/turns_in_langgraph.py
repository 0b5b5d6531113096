"""What a turn of LangGraph costs that keeps its state with its Postgres checkpointer.

Usage: turns_in_langgraph.py URL TURN…   Prints a line of JSON for each turn.

A graph of one node, as a chat has it: the question goes in, the answer is appended to
the messages. The turns before the measured one are put into the state at once, with
one update: what the measured turn costs is the same, and it takes no hours.
"""

import json
import random
import sys
import time

import psycopg
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.graph import END, START, MessagesState, StateGraph

words = "an index pays when few rows are wanted for many reading the table in order touches every page once and no more".split()
dice = random.Random(1)


def text(length):
    said = ""
    while len(said) < length:
        said += f"{dice.choice(words)}{dice.randrange(1000)} "
    return said[:length]


def chat(_):
    return {"messages": [AIMessage(text(1700))]}


def counters(watch):
    tables = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")
    columns = watch.execute(
        "SELECT table_name, string_agg(format('coalesce(pg_column_size(%%I), 0)', column_name), ' + ') FROM information_schema.columns"
        " WHERE table_schema = 'langgraph' AND table_name = ANY(%s) GROUP BY table_name", [list(tables)]).fetchall()
    size = sum(watch.execute(f"SELECT coalesce(sum({sizes}), 0) + 24 * count(*) FROM {table}").fetchone()[0] for table, sizes in columns)
    rows, commits, wal = watch.execute(
        "SELECT (SELECT sum(n_tup_ins + n_tup_upd) FROM pg_stat_user_tables WHERE schemaname = 'langgraph' AND relname = ANY(%s)),"
        " (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()),"
        " pg_current_wal_insert_lsn() - '0/0'", [list(tables)]).fetchone()
    return {"bytes": int(size), "rows": int(rows or 0), "commits": int(commits), "wal": int(wal)}


def settled(works, watch):
    """The counters once both connections have told what they did; looking is counted as well."""
    works.execute("SELECT pg_stat_force_next_flush()")
    looks = [counters(watch)]
    while len(looks) < 4:
        watch.execute("SELECT pg_stat_force_next_flush()")
        looks.append(counters(watch))
    return looks[-1], looks[-1]["commits"] - looks[-2]["commits"]


def main(url, turns):
    with psycopg.connect(url, autocommit=True) as apart:  # its tables are called as ours
        apart.execute("CREATE SCHEMA IF NOT EXISTS langgraph")
    url += "&options=-csearch_path%3Dlanggraph"
    with psycopg.connect(url, autocommit=True) as watch, PostgresSaver.from_conn_string(url) as saver:
        saver.setup()
        graph = StateGraph(MessagesState).add_node("chat", chat).add_edge(START, "chat").add_edge("chat", END).compile(checkpointer=saver)
        graph.invoke({"messages": [HumanMessage(text(300))]}, {"configurable": {"thread_id": "warm"}})
        for turn in turns:
            config = {"configurable": {"thread_id": f"turn-{turn}"}}
            before = [m for _ in range(turn - 1) for m in (HumanMessage(text(300)), AIMessage(text(1700)))]
            if before:
                graph.update_state(config, {"messages": before}, as_node="chat")
            start, _ = settled(saver.conn, watch)
            begun = time.perf_counter()
            graph.invoke({"messages": [HumanMessage(text(300))]}, config)
            took = time.perf_counter() - begun
            end, looking = settled(saver.conn, watch)
            cost = {name: end[name] - start[name] for name in start}
            # Each look is a commit for every statement, and each flush one more.
            idle_start, _ = settled(saver.conn, watch)
            idle_end, _ = settled(saver.conn, watch)
            cost["commits"] -= idle_end["commits"] - idle_start["commits"]
            cost["wal"] -= idle_end["wal"] - idle_start["wal"]
            print(json.dumps({"turn": turn, "ms": took * 1000, "text": 2000, **cost}), flush=True)


main(sys.argv[1], [int(turn) for turn in sys.argv[2:]])
