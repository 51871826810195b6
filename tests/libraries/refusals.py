"""What would block, stay or run elsewhere is refused at once, and the connection goes on.

refusals.py <host:port>. It prints nothing but what fails.
"""

import logging
import sys

import redis
from checks import equal, refused
from redis.backoff import NoBackoff
from redis.retry import Retry

REFUSED = """
    BLPOP list 0
    BRPOP list 0
    BLMOVE list other LEFT RIGHT 0
    BZPOPMIN scores 0
    XREAD BLOCK 0 STREAMS stream $
    SUBSCRIBE channel
    PSUBSCRIBE chan*
    EVAL return(1) 0
    MONITOR
    SYNC
    PSYNC ? -1
"""

logging.basicConfig(level=logging.WARNING)
for protocol in (3, 2):
    # One connection, that is not opened again once it has gone.
    client = redis.Redis.from_url(
        f"redis://{sys.argv[1]}",
        protocol=protocol,
        single_connection_client=True,
        socket_timeout=20,
        retry=Retry(NoBackoff(), 0),
    )
    with client:
        for command in REFUSED.strip().splitlines():
            refused(client.execute_command, *command.split(), because="")
            equal(client.set("key", command), True)
            equal(client.get("key"), command.encode())
        with client.pipeline(transaction=False) as pipe:
            pipe.set("key", 1).execute_command("BLPOP", "list", 0)
            replies = pipe.get("key").execute(raise_on_error=False)
        equal([type(it).__name__ for it in replies], ["bool", "ResponseError", "bytes"])
