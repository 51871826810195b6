"""Hashes, lists, sets and sorted sets of Redis through the proxy: in type and value as without it.

data_types.py <host:port of Redis> <host:port of the proxy>. It prints nothing but what fails.
"""

import logging
import sys

import redis
from checks import equal, refused

DIRECT, PROXIED = (f"redis://{address}" for address in sys.argv[1:])


def round(client):
    client.delete("hash", "list", "set", "scores")
    yield client.hset("hash", mapping={"name": "Derek", "age": 18, "empty": ""})
    yield client.hgetall("hash")
    yield client.hgetall("nothing")
    yield client.hget("hash", "name")
    yield client.hmget("hash", "age", "nothing")
    yield client.hincrby("hash", "age", 1)
    yield client.hincrbyfloat("hash", "age", 0.5)
    yield client.hexists("hash", "nothing")
    yield client.hkeys("hash")
    yield dict(client.hscan_iter("hash"))
    yield client.lpush("list", "c", "b", "a")
    yield client.rpush("list", "d")
    yield client.lrange("list", 0, -1)
    yield client.lpop("list", 2)
    yield client.rpoplpush("list", "list")
    yield client.llen("list")
    yield client.sadd("set", "x", "y", "z")
    yield client.smembers("set")
    yield client.sismember("set", "x")
    yield client.smismember("set", "x", "w")
    yield client.sinter("set", "nothing")
    yield client.zadd("scores", {"low": 1, "middle": 2.5, "high": float("inf")})
    yield client.zrange("scores", 0, -1, withscores=True)
    yield client.zrange("scores", 0, -1)
    yield client.zscore("scores", "middle")
    yield client.zscore("scores", "nothing")
    yield client.zincrby("scores", 0.25, "middle")
    yield client.zrank("scores", "high")
    yield client.zrangebyscore("scores", 1, 3, withscores=True)
    yield client.zpopmin("scores")
    yield list(client.zscan_iter("scores"))
    yield [client.type(key) for key in ("hash", "list", "set", "scores")]
    with client.pipeline() as pipe:
        pipe.hset("hash", "more", 1).hgetall("hash").smembers("set")
        pipe.zrange("scores", 0, -1, withscores=True).lrange("list", 0, -1)
        yield pipe.execute()
    with client.pipeline(transaction=False) as pipe:
        yield pipe.hgetall("hash").hget("list", "x").smembers("set").execute(raise_on_error=False)


def shape(value):
    """Types and values; an exception is not equal to another like it."""
    if isinstance(value, (list, tuple)):
        return type(value), [shape(part) for part in value]
    if isinstance(value, set):
        return type(value), sorted(map(repr, value))
    if isinstance(value, dict):
        return type(value), [(key, shape(value[key])) for key in sorted(value)]
    return type(value), repr(value)


def compare(**options):
    with (
        redis.Redis.from_url(DIRECT, **options) as direct,
        redis.Redis.from_url(PROXIED, **options) as proxied,
    ):
        wanted, got = list(round(direct)), list(round(proxied))
        for at, (one, other) in enumerate(zip(got, wanted, strict=True)):
            assert shape(one) == shape(other), f"{options}, {at}: {one!r}, directly {other!r}"
        refused(proxied.lpush, "hash", "x", because="WRONGTYPE")
        refused(proxied.incr, "list", because="WRONGTYPE")
        equal(proxied.hgetall("hash")[b"name"], b"Derek")
        equal(proxied.smembers("set"), {b"x", b"y", b"z"})
        equal(proxied.zscore("scores", "middle"), 2.75)


logging.basicConfig(level=logging.WARNING)
compare()
compare(protocol=2)
