"""redis-py as it comes, against a server, or through a proxy, which refuses WATCH.

redis_py.py <host:port> server|proxy <rounds>. It prints nothing but what fails.
"""

import asyncio
import logging
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import redis
import redis.asyncio
from redis.cache import CacheConfig
from redis.connection import CacheProxyConnection
from checks import equal, refused

URL, ROLE, ROUNDS = f"redis://{sys.argv[1]}", sys.argv[2], int(sys.argv[3])
POOL = 50


def commands(client):
    equal(client.ping(), True)
    equal(client.set("name", "Derek Moss"), True)
    equal(client.get("name"), b"Derek Moss")
    equal(client.get("nothing"), None)
    equal(client.set("name", "other", nx=True), None)
    equal(client.set("name", "other", xx=True, get=True), b"Derek Moss")
    equal(client.expire("name", 100), True)
    assert 98 <= client.ttl("name") <= 100
    assert 98_000 <= client.pttl("name") <= 100_000
    equal(client.persist("name"), True)
    equal(client.ttl("name"), -1)
    equal(client.ttl("nothing"), -2)
    equal(client.mset({"a": "1", "b": b"\x00\r\n\xff", "c": ""}), True)
    equal(client.mget("a", "b", "nothing", "c"), [b"1", b"\x00\r\n\xff", None, b""])
    equal(client.incr("a"), 2)
    equal(client.incrby("a", 40), 42)
    equal(client.decr("a"), 41)
    equal(client.append("name", " one"), 9)
    equal(client.strlen("name"), 9)
    equal(client.getex("a", ex=100), b"41")
    assert 98 <= client.ttl("a") <= 100
    equal(client.getdel("a"), b"41")
    equal(client.exists("a", "b", "c"), 2)
    equal(client.type("name"), b"string")
    equal(client.delete("b", "c", "nothing"), 2)
    equal(client.setex("brief", 100, "v"), True)
    equal(client.psetex("brief", 1, "v"), True)
    refused(client.incr, "name", because="value is not an integer or out of range")
    assert client.dbsize() >= 1


def pipelines(client):
    with client.pipeline() as pipe:
        pipe.set("counter", 1).incr("counter").get("counter").get("nothing")
        equal(pipe.execute(), [True, 2, b"2", None])
    with client.pipeline(transaction=False) as pipe:
        for number in range(ROUNDS):
            pipe.set(f"key:{number}", number)
        equal(pipe.execute(), [True] * ROUNDS)
    with client.pipeline() as pipe:
        pipe.set("text", "x").incr("text").set("after", "y")
        replies = pipe.execute(raise_on_error=False)
        equal([type(it).__name__ for it in replies], ["bool", "ResponseError", "bool"])
    wanted = sorted(b"key:%d" % number for number in range(ROUNDS))
    equal(sorted(set(client.scan_iter("key:*"))), wanted)
    equal(sorted(client.keys("key:*")), wanted)
    equal(client.delete(*wanted), ROUNDS)


def transactions(client):
    """The helper watches a key, and begins again if somebody else changes it."""
    client.set("watched", 1)
    turns = []

    def double(pipe):
        seen = int(pipe.get("watched"))
        turns.append(seen)
        if len(turns) == 1:
            client.set("watched", 10)
        pipe.multi()
        pipe.set("watched", 2 * seen)

    equal(client.transaction(double, "watched"), [True])
    equal(turns, [1, 10])
    equal(client.get("watched"), b"20")


def watch_is_refused(client):
    with client.pipeline() as pipe:
        refused(pipe.watch, "watched", because="WATCH")
        pipe.set("after", "y")
        refused(pipe.execute, because="Transaction discarded")
        pipe.set("after", "z").get("after")
        equal(pipe.execute(), [True, b"z"])


def reads_are_kept():
    """What the library keeps of its reads is dropped when the server tells of a change.

    It asks by name for a Redis that is newer than ours, and than the one beside us.
    """
    with redis.Redis.from_url(URL, protocol=3) as other:
        CacheProxyConnection.DEFAULT_SERVER_NAME = other.execute_command("HELLO")[b"server"].decode()
        CacheProxyConnection.MIN_ALLOWED_VERSION = "0.0.1"
        client = redis.Redis.from_url(URL, protocol=3, cache_config=CacheConfig())
        gets = lambda: other.info("commandstats").get("cmdstat_get", {"calls": 0})["calls"]
        other.set("kept", 0)
        for number in range(20):
            deadline = time.monotonic() + 10
            # The news and the reply to whom it came from arrive in no order.
            while client.get("kept") != b"%d" % number:
                assert time.monotonic() < deadline, "it is never told"
            before = gets()
            equal([client.get("kept") for _ in range(10)], [b"%d" % number] * 10)
            equal(gets(), before)
            if number % 2 == 0:
                other.set("kept", number + 1)
            else:
                client.set("kept", number + 1)
        equal(other.delete("kept"), 1)
        client.close()


def pool():
    """All connections of a pool at once."""
    together = Barrier(POOL)
    with redis.Redis.from_url(URL, max_connections=POOL) as client:

        def count(thread):
            with client.client() as single:
                single.ping()
                together.wait(30)
                return [single.incr(f"thread:{thread}") for _ in range(10)] + [single.incr("all")]

        with ThreadPoolExecutor(POOL) as threads:
            counted = list(threads.map(count, range(POOL)))
        for numbers in counted:
            equal(numbers[:10], list(range(1, 11)))
        equal(sorted(numbers[10] for numbers in counted), list(range(1, POOL + 1)))


async def asynchronous():
    async with redis.asyncio.Redis.from_url(URL) as client:
        equal(await client.set("async", "v", ex=100), True)
        equal(await asyncio.gather(*(client.get("async") for _ in range(20))), [b"v"] * 20)
        async with client.pipeline() as pipe:
            equal(await pipe.incr("n").incr("n").execute(), [1, 2])
        equal([key async for key in client.scan_iter("asyn?")], [b"async"])
        equal(await client.delete("async", "n"), 2)


logging.basicConfig(level=logging.WARNING)
for options in ({}, {"protocol": 2}, {"decode_responses": False, "health_check_interval": 1}):
    with redis.Redis.from_url(URL, **options) as client:
        commands(client)
        pipelines(client)
        (transactions if ROLE == "server" else watch_is_refused)(client)
with redis.Redis.from_url(URL, decode_responses=True) as client:
    client.set("ключ", "значение")
    equal(client.get("ключ"), "значение")
if ROLE == "server":
    reads_are_kept()
pool()
asyncio.run(asynchronous())
