"""moto's server, whose S3 decides about conditional PutObject one after the other, as AWS does (Amazon S3 User Guide, "How to
prevent object overwrites with conditional writes"). moto itself looks and then writes, so that two may write at once."""

import sys
import threading

from moto.s3.responses import S3Response
from moto.server import main

lock = threading.Lock()
put_object = S3Response.put_object


def one_at_a_time(self):
    with lock:
        return put_object(self)


S3Response.put_object = one_at_a_time
main(sys.argv[1:])
